// /live: sign in, choose an organization, and see what happens in it.

import { Account, Refused } from "./live/account.js";
import { Feed, element } from "./live/feed.js";
import { Status } from "./live/status.js";
import { Work } from "./live/work.js";
import { Realtime, RealtimeError } from "./realtime.js";

/** @import {Member, Presence, Subscription} from "./realtime.js" */

/** Pictures that are watched at once while they are processed. */
const WATCHED = 20;

/** @param {string} id */
const find = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
/** @param {string} id */
const input = (id) => /** @type {HTMLInputElement} */ (find(id));
const choice = /** @type {HTMLSelectElement} */ (find("org"));
const feed = new Feed(find);
const status = new Status(find("state"), find("again"));
const work = new Work(find("work"), find("work-empty"));

let account = new Account();
/** @type {Realtime | null} */
let realtime = null;
/** @type {Presence | null} */
let present = null;
/** @type {Map<string, Subscription>} What is watched in particular. */
const watched = new Map();
/** @type {Map<string, Subscription>} Pictures being processed. */
const pictures = new Map();
/** @type {Map<string, string>} */
const names = new Map();

feed.nameOf = (id) => names.get(id) ?? id;

/** @param {string} text */
function say(text) {
  find("said").replaceChildren(...(text ? [element("p", "bad", text)] : []));
}

/** @param {unknown} error */
function wordsOf(error) {
  if (!(error instanceof Refused || error instanceof RealtimeError)) throw error;
  const wait = error.retryAfter ? ` You can try again in ${error.retryAfter} seconds.` : "";
  return error.message + wait;
}

/** @param {boolean} inside */
function show(inside) {
  find("door").hidden = inside;
  find("room").hidden = !inside;
  find("leave").hidden = !inside;
  find("state").hidden = !inside;
}

function stop() {
  status.stop();
  work.clear();
  realtime?.close();
  realtime = null;
  watched.clear();
  pictures.clear();
  names.clear();
  for (const id of ["channels", "who"]) find(id).replaceChildren();
  find("who-empty").textContent = "Nobody is known to be here yet.";
  find("who-empty").hidden = false;
  feed.clear();
}

/** @param {boolean} shown */
function showKeyRow(shown) {
  find("key-org-row").hidden = !shown;
  input("key-org").required = shown;
}

/** @param {string} words */
function goOut(words) {
  stop();
  account.leave();
  account = new Account();
  for (const form of document.forms) form.reset();
  find("otp-row").hidden = true;
  input("otp").required = false;
  showKeyRow(false);
  find("again").hidden = true;
  show(false);
  say(words);
}

/** @param {string} [org] of an API key, which cannot list those of a person */
async function goIn(org) {
  const { items } = org
    ? { items: [await account.get(`/v1/orgs/${encodeURIComponent(org)}`)] }
    : await account.get("/v1/orgs?limit=200");
  choice.replaceChildren(
    ...items.map((/** @type {{id: string, name: string}} */ { id, name }) => new Option(name, id)),
  );
  show(true);
  say("");
  if (items.length === 0) {
    choice.append(new Option("None yet", ""));
    choice.disabled = true;
    status.say("idle", "Nothing to watch");
    feed.invitation =
      "You belong to no organization yet. Make one, or accept an invitation; then load this page again.";
    feed.clear();
    return;
  }
  choice.disabled = false;
  enter();
  choice.focus();
}

function enter() {
  stop();
  say("");
  const org = choice.value;
  const title = choice.selectedOptions[0]?.text ?? "";
  feed.invitation = `Nothing has happened since you began to watch. What anybody does in ${title} now shows here.`;
  feed.clear();
  const own = new Realtime({
    api: location.origin,
    org,
    token: (want) => account.token(want),
    onState: (state, detail) => {
      if (realtime === own) status.show(state, detail);
    },
    onError: (error) => {
      if (realtime === own) fail(error);
    },
  });
  realtime = own;
  own.subscribe("org", {
    onEvent: ({ event }) => {
      feed.add(event);
      followPicture(event.type, event.subject ?? "");
    },
    onReset: () => say("Some events are missing here: more happened than is kept. The next are whole again."),
  });
  present = own.presence("org", { onMembers: showMembers, onUnavailable: () => {
    find("who").replaceChildren();
    find("who-empty").hidden = false;
    find("who-empty").textContent = "Who is here cannot be told over this connection.";
  } });
  void learnNames(org, own);
}

/**
 * @param {string} org
 * @param {Realtime} own
 */
async function learnNames(org, own) {
  try {
    const { items } = await account.get(`/v1/orgs/${encodeURIComponent(org)}/members?limit=200`);
    if (realtime !== own) return;
    for (const { user_id, name } of items) names.set(user_id, name);
    feed.rename();
    showMembers(present?.members ?? []);
  } catch {
    // Not everybody may know: ids do as well.
  }
}

/** @param {readonly Member[]} members */
function showMembers(members) {
  const people = members.map(({ id }) => element("li", "", feed.nameOf(id)));
  find("who").replaceChildren(...people);
  find("who-empty").hidden = people.length > 0;
}

/**
 * How far a picture is, is told to who listens to it.
 * @param {string} type
 * @param {string} id
 */
function followPicture(type, id) {
  if (type === "asset.asset.uploaded" && pictures.size < WATCHED && !pictures.has(id)) {
    const subscription = realtime?.subscribe(`asset:${id}`, {
      onProgress: ({ progress }) => work.show(progress),
      onClosed: () => leavePicture(id),
    });
    if (subscription) pictures.set(id, subscription);
  } else if (type.startsWith("asset.asset.") && pictures.has(id)) {
    if (/\.(ready|failed|deleted)$/.test(type)) leavePicture(id);
  }
}

/** @param {string} id */
function leavePicture(id) {
  pictures.get(id)?.unsubscribe();
  pictures.delete(id);
  work.finish(id);
}

/**
 * Reasons of closes are no sentences.
 * @param {string} words
 */
function sentence(words) {
  const trimmed = words.trim().replace(/\.$/, "");
  return `${trimmed.charAt(0).toUpperCase()}${trimmed.slice(1)}.`;
}

/** @param {RealtimeError} error */
function fail(error) {
  if (error.code.startsWith("live.") || error.problem?.status === 401) {
    goOut(`${sentence(error.message)} Please sign in again.`);
  } else {
    say(`${sentence(error.message)} Nothing more is shown of this organization.`);
  }
}

/** @param {string} name */
function watch(name) {
  if (watched.has(name) || !realtime || realtime.state === "closed") return;
  const chip = element("li", "", "");
  const away = element("button", "", "×");
  away.setAttribute("aria-label", `Do not watch ${name} any more`);
  const forget = () => {
    watched.get(name)?.unsubscribe();
    watched.delete(name);
    chip.remove();
  };
  away.addEventListener("click", forget);
  chip.append(element("code", "", name), away);
  find("channels").append(chip);
  const own = realtime;
  watched.set(name, own.subscribe(name, {
    // Of an organization they are in the list already.
    ...(name === "me" ? { onEvent: ({ event }) => feed.add(event) } : {}),
    onProgress: ({ progress }) => work.show(progress),
    onClosed: (channel, _code, detail) => {
      if (realtime !== own || own.state === "closed") return;
      forget();
      say(`${channel} cannot be watched. ${detail}`);
    },
  }));
}

/**
 * @param {string} id
 * @param {() => unknown} act
 */
function onSubmit(id, act) {
  const form = /** @type {HTMLFormElement} */ (find(id));
  const button = form.querySelector("button");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button?.disabled) return;
    if (button) button.disabled = true;
    say("");
    try {
      await act();
    } catch (error) {
      say(wordsOf(error));
      find("said").focus();
    } finally {
      if (button) button.disabled = false;
    }
  });
}

onSubmit("sign-in", async () => {
  try {
    await account.signIn(input("email").value.trim(), input("password").value, input("otp").value);
  } catch (error) {
    if (!(error instanceof Refused) || error.code !== "auth.otp_required") throw error;
    find("otp-row").hidden = false;
    input("otp").required = true;
    input("otp").focus();
    say("Please enter the code of your second step as well.");
    return;
  }
  await goIn();
  input("password").value = input("otp").value = "";
});
onSubmit("use-token", async () => {
  account.paste(input("token").value.trim());
  try {
    await goIn(input("key-org").value.trim());
  } catch (error) {
    account = new Account();
    if (!(error instanceof Refused) || error.code !== "auth.person_needed") throw error;
    showKeyRow(true);
    input("key-org").focus();
    say("This is an API key: please say of which organization.");
    return;
  }
  input("token").value = input("key-org").value = "";
});
onSubmit("watch", () => {
  const name = input("channel").value.trim();
  if (name) watch(name);
  input("channel").value = "";
});
choice.addEventListener("change", enter);
find("leave").addEventListener("click", () => goOut(""));
find("again").addEventListener("click", () => {
  if (realtime?.state === "waiting") realtime.reconnect();
  else enter();
});
addEventListener("pagehide", ({ persisted }) => {
  if (!persisted) account.leave();
});
show(false);
