// posthog-node, by its public API. The worker is ../../templates/javascript/worker.mjs.

import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import zlib from 'node:zlib'
import { Unsupported } from '../../templates/javascript/errors.mjs'

// Where a case is about a compressor that fails, this one does. The SDK takes the function when it is loaded.
let isFailing = false
const { gzip } = zlib
const replaced = (input, ...rest) => {
  const done = rest.at(-1)
  return isFailing ? done(new Error('the compressor fails')) : gzip(input, ...rest)
}
zlib.gzip = replaced
process.env.POSTHOG_CAPTURE_MODE = 'v1'

// PEER_MODULES is the folder into which npm has installed it.
const load = createRequire(resolve(process.env.PEER_MODULES, 'package.json'))
const { PostHog } = load('posthog-node')
const { version } = load('./node_modules/posthog-node/package.json')

const boolean = (text) => ['true', '1'].includes(text)

function compression(text) {
  if (!['none', 'gzip'].includes(text)) throw new Unsupported(`there is no compression ${text}`)
  return text
}

export class Sdk {
  static NAME = 'posthog-node'
  static VERSION = version
  static FAULTS = ['compressor']
  static SETTINGS = {
    host: String,
    flush_at: Number,
    flush_interval_ms: Number,
    max_batch_events: Number,
    max_retries: Number,
    retry_initial_ms: Number,
    request_timeout_ms: Number,
    compression,
    disable_geoip: boolean,
    is_server: boolean,
    historical_migration: boolean,
    fault: String,
  }
  static OPTIONS = {
    flush_at: 'flushAt',
    flush_interval_ms: 'flushInterval',
    max_batch_events: 'maxBatchSize',
    max_retries: 'fetchRetryCount',
    retry_initial_ms: 'fetchRetryDelay',
    request_timeout_ms: 'requestTimeout',
    disable_geoip: 'disableGeoip',
    is_server: 'isServer',
    historical_migration: 'historicalMigration',
  }

  constructor(key, { host, compression: codec = 'none', fault, ...settings }) {
    isFailing = fault === 'compressor'
    const options = { host, disableGeoip: false, isServer: false, disableCompression: codec === 'none' && !fault }
    for (const [name, value] of Object.entries(settings)) options[Sdk.OPTIONS[name]] = value
    this.losses = {}
    this.client = new PostHog(key, options)
    this.client.on('error', (error) => this.onError(error))
  }

  // What the SDK says about events that were not delivered, as an application would read it.
  onError(error) {
    const add = (reason, count) => {
      if (count) this.losses[reason] = (this.losses[reason] ?? 0) + count
    }
    if (error.name !== 'CaptureV1Error') return add('transport', 1)
    add('dropped', error.drops.length)
    add(error.cause ? 'rejected' : 'retry_exhausted', error.retryExhausted.length)
  }

  lost() {
    return { ...this.losses }
  }

  capture({ event, distinct_id: distinctId, properties, timestamp, uuid, ...more }) {
    const [key] = Object.keys(more)
    if (key) throw new Unsupported(`capture has no ${key}`)
    const date = timestamp == null ? undefined : new Date(timestamp)
    this.client.capture({ event, distinctId, properties: properties ?? undefined, timestamp: date, uuid })
  }

  identify({ distinct_id: distinctId, set, set_once }) {
    const once = set_once ? { $set_once: set_once } : {}
    this.client.identify({ distinctId, properties: { ...(set ? { $set: set } : {}), ...once } })
  }

  alias({ distinct_id: distinctId, alias }) {
    this.client.alias({ distinctId, alias })
  }

  groupIdentify({ group_type: groupType, group_key: groupKey, set: properties, distinct_id: distinctId }) {
    this.client.groupIdentify({ groupType, groupKey, properties, distinctId })
  }

  optOut() {
    return this.client.disable()
  }

  optIn() {
    return this.client.enable()
  }

  flush() {
    return this.client.flush()
  }

  close() {
    return this.client.shutdown()
  }
}
