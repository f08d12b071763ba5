// The pages that links of mails open. Nothing is sent before somebody clicks: programs that
// look through mails open every link in them.

const said = document.getElementById("said");
const cut = location.hash !== "";
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
// Out of the address bar, the history, and what somebody may copy from there.
history.replaceState(null, "", location.pathname);

function say(kind, text, reasons = []) {
  const words = document.createElement("p");
  words.className = kind;
  words.textContent = text;
  said.replaceChildren(words);
  if (reasons.length) {
    const list = document.createElement("ul");
    list.className = kind;
    for (const reason of reasons) {
      const item = document.createElement("li");
      item.textContent = reason;
      list.append(item);
    }
    said.append(list);
  }
  said.focus();
}

class Refused extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.detail || problem.title || `The server answered ${status}.`);
    this.status = status;
    this.code = problem.code ?? "";
    this.title = problem.title ?? "";
    this.errors = problem.errors ?? [];
    this.retryAfter = retryAfter;
  }
}

async function ask(method, path, body, access) {
  const headers = {};
  if (body) headers["Content-Type"] = "application/json";
  if (access) headers.Authorization = `Bearer ${access}`;
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Refused(0, { detail: "The server cannot be reached. Please try again." });
  }
  const text = await answer.text();
  let view = {};
  try {
    view = text ? JSON.parse(text) : {};
  } catch {
    // A proxy's page, perhaps: the status says enough.
  }
  if (!answer.ok) throw new Refused(answer.status, view, answer.headers.get("Retry-After"));
  // It is promised, and not done yet.
  if (answer.status === 202 && view.status_url) return outcome(view.status_url, access);
  return view;
}

async function outcome(url, access) {
  for (let tries = 0; access && tries < 30; tries += 1) {
    await new Promise((done) => setTimeout(done, 1000));
    const { status, result, problem } = await ask("GET", url, null, access);
    if (status === "succeeded") return result ?? {};
    if (status === "failed") throw new Refused(0, problem ?? {});
  }
  throw new Refused(0, { detail: "It takes longer than usual. Please try again in a minute." });
}

function complain(form, error) {
  const reasons = [];
  for (const { pointer, detail } of error.errors) {
    const field = form.elements.namedItem(String(pointer).replace(/^\//, ""));
    const known = field instanceof HTMLInputElement;
    if (known) field.setAttribute("aria-invalid", "true");
    reasons.push(known ? `${field.labels[0].textContent}: ${detail}` : detail);
  }
  const wait = error.retryAfter ? ` You can try again in ${error.retryAfter} seconds.` : "";
  // Where fields are not valid, the detail names them as the API does. Elsewhere it says it all.
  if (error.code === "validation_failed") say("bad", `${error.title}:${wait}`, reasons);
  else say("bad", error.message + wait);
  if (error.code === "auth.link_invalid") offerAnother(form);
}

function offerAnother(form) {
  const another = document.getElementById("another");
  if (!another) return;
  form.hidden = true;
  another.hidden = false;
}

function on(form, work) {
  const button = form.querySelector("button[type=submit]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    for (const field of form.querySelectorAll("[aria-invalid]")) {
      field.removeAttribute("aria-invalid");
    }
    button.disabled = true;
    said.replaceChildren();
    try {
      await work(form);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      complain(form, error);
    } finally {
      button.disabled = false;
    }
  });
}

async function verify(form) {
  await ask("POST", "/v1/auth/verify-email", { token });
  form.hidden = true;
  say("good", "Thank you: the address is confirmed. You can close this page.");
}

async function reset(form) {
  const { password, again } = form.elements;
  if (password.value !== again.value) {
    again.setAttribute("aria-invalid", "true");
    throw new Refused(0, { detail: "The two passwords are not the same." });
  }
  await ask("POST", "/v1/auth/password/reset", { token, password: password.value });
  form.reset();
  form.hidden = true;
  say("good", "Your password is changed. You can sign in with it now.");
}

async function another(form) {
  const email = form.elements.email.value.trim();
  const confirms = document.body.dataset.page === "verify-email";
  if (confirms) await ask("POST", "/v1/auth/verify-email/resend", { email });
  else await ask("POST", "/v1/auth/password/forgot", { email });
  form.hidden = true;
  const which = confirms ? "an account with this address to confirm" : "an account with this address";
  say("good", `If there is ${which}, a link is on its way. It can take a minute.`);
}

const choice = { isNew: false };

function choose(isNew) {
  choice.isNew = isNew;
  document.getElementById("have").setAttribute("aria-pressed", String(!isNew));
  document.getElementById("new").setAttribute("aria-pressed", String(isNew));
  document.getElementById("name-row").hidden = !isNew;
  document.getElementById("rule").hidden = !isNew;
  document.getElementById("name").required = isNew;
  document.getElementById("password").autocomplete = isNew ? "new-password" : "current-password";
  document.getElementById("go").textContent = isNew
    ? "Make an account and accept"
    : "Sign in and accept";
}

async function accept(form) {
  const { name, email, password, otp } = form.elements;
  const credentials = { email: email.value.trim(), password: password.value };
  if (choice.isNew) {
    await ask("POST", "/v1/auth/register", { ...credentials, name: name.value });
    choose(false);
  }
  if (otp.value) credentials.otp = otp.value.replaceAll(" ", "");
  let session;
  try {
    session = await ask("POST", "/v1/auth/sessions", credentials);
  } catch (error) {
    if (error.code === "auth.otp_required") {
      document.getElementById("otp-row").hidden = false;
      otp.required = true;
      otp.focus();
      throw new Refused(0, { detail: "Please enter the code of your second step as well." });
    }
    if (error.code === "auth.email_unverified") {
      throw new Refused(0, {
        detail:
          "Your address has to be confirmed first: we have sent you a mail about that. " +
          "After that, sign in here.",
      });
    }
    throw error;
  }
  try {
    await ask("POST", "/v1/invitations/accept", { token }, session.access_token);
  } finally {
    // It was opened for this one request.
    const path = `/v1/auth/sessions/${encodeURIComponent(session.session_id)}`;
    await ask("DELETE", path, null, session.access_token).catch(() => {});
  }
  form.reset();
  form.hidden = true;
  document.getElementById("asked").hidden = true;
  say("good", "Welcome! You are a member now. You can close this page and sign in.");
}

const work = { verify, reset, another, accept };
for (const form of document.forms) {
  on(form, work[form.id]);
  if (!token) form.hidden = form.id !== "another";
}
document.getElementById("have")?.addEventListener("click", () => choose(false));
document.getElementById("new")?.addEventListener("click", () => choose(true));
// Without any token, a page that mails links is where to ask for the first.
if (!token && (cut || !document.getElementById("another"))) {
  document.getElementById("asked")?.setAttribute("hidden", "");
  say("bad", "This link is not complete. Please open it from the mail again, or copy all of it.");
}
