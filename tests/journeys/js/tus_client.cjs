// Uploads a file with tus-js-client as a program of its own: node tus_client.cjs '<options>'.
// Prints one line of JSON at the end: what happened, and the requests that were made.
'use strict'

const fs = require('node:fs')
const { PassThrough } = require('node:stream')
const given = JSON.parse(process.argv[2])
const tus = require(given.module)

const requests = []
let finished = false

function say(outcome) {
  if (finished) return
  finished = true
  console.log(JSON.stringify({ ...outcome, requests }))
  process.exit(0)
}

const options = {
  endpoint: given.endpoint,
  uploadUrl: given.uploadUrl,
  headers: { Authorization: `Bearer ${given.token}` },
  metadata: given.metadata || {},
  retryDelays: given.retryDelays === undefined ? [0, 500, 1000, 3000] : given.retryDelays,
  parallelUploads: 1,
  uploadDataDuringCreation: Boolean(given.uploadDataDuringCreation),
  uploadLengthDeferred: Boolean(given.uploadLengthDeferred),
  removeFingerprintOnSuccess: true,
  urlStorage: new tus.FileUrlStorage(given.storage),
  onAfterResponse(request, response) {
    requests.push({
      method: request.getMethod(),
      status: response.getStatus(),
      location: response.getHeader('Content-Location') || null,
    })
  },
  onError(error) {
    say({ outcome: 'error', reason: String(error), url: upload.url })
  },
  onSuccess() {
    say({ outcome: 'success', url: upload.url })
  },
  onChunkComplete(_, accepted) {
    if (given.stopAfter && accepted >= given.stopAfter) stop()
  },
  onProgress(sent) {
    if (given.cutAfter && sent >= given.cutAfter) stop()
  },
}
if (given.chunkSize) options.chunkSize = given.chunkSize

async function stop() {
  if (finished) return
  await upload.abort(Boolean(given.terminate))
  say({ outcome: 'aborted', url: upload.url })
}

// Of a stream without a path the client does not know the length.
const source = fs.createReadStream(given.file)
const upload = new tus.Upload(given.uploadLengthDeferred ? source.pipe(new PassThrough()) : source, options)

async function main() {
  if (given.resume) {
    const previous = await upload.findPreviousUploads()
    if (previous.length !== 1) return say({ outcome: 'nothing to resume', found: previous.length })
    upload.resumeFromPreviousUpload(previous[0])
  }
  upload.start()
}

main()
