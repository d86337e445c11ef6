// What the worker calls. Replace the body of each method by calls of your SDK, and delete methods that your SDK has
// nothing like: their cases then count as unsupported.
//
// As it stands this drives `Client` below, a small client that delivers events and does little else, so that you
// can see the worker and the suite at work before you begin.

import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Refused, Unsupported } from './errors.mjs'

export class Sdk {
  // As in the User-Agent.
  static NAME = 'example-sdk'
  static VERSION = '0.1.0'

  // The settings of docs/settings.md that your SDK has, each with what turns its text into a value.
  static SETTINGS = { host: String, flush_at: Number, max_retries: Number, retry_initial_ms: Number }

  constructor(apiKey, settings) {
    // If the SDK cannot be created with these settings: throw new Refused('why', 'invalid_setting').
    this.client = new Client(apiKey, settings)
  }

  // `event` has the members event, distinct_id and properties, and perhaps timestamp, uuid, $set and others. Returns
  // the uuid of the event, or nothing if the SDK does not say it. May return a promise, like every other method.
  capture(event) {
    const known = ['event', 'distinct_id', 'properties', 'uuid', 'timestamp']
    const more = Object.keys(event).find((key) => !known.includes(key))
    if (more) throw new Unsupported(`capture has no ${more}`)
    if (typeof event.distinct_id !== 'string') {
      throw new Refused('the distinct id must be text', 'invalid_distinct_id')
    }
    return this.client.capture(event)
  }

  // Resolves once every event is settled. The worker adds the time limits of the cases.
  flush() {
    return this.client.flush()
  }

  close() {
    return this.client.flush()
  }

  // How many events the SDK says were lost, by reason, since it was created. A reason that all SDKs share is `dropped`,
  // for events that the server dropped. Without this method the suite sees only what arrives.
  lost() {
    return { ...this.client.lost }
  }

  // Where your SDK has them: identify({ distinct_id, set, set_once }), alias({ distinct_id, alias }),
  // groupIdentify({ group_type, group_key, set, distinct_id }), register(key, value), unregister(key), optOut(),
  // optIn(), reset(): ends the client at once, so that nothing more is sent.
}

// Delete this.
class Client {
  pending = []
  lost = {}

  constructor(apiKey, { host, flush_at = 100, max_retries = 3, retry_initial_ms = 200 }) {
    Object.assign(this, { apiKey, flushAt: flush_at, attempts: max_retries + 1, wait: retry_initial_ms })
    this.url = `${host.replace(/\/+$/, '')}/i/v1/analytics/events`
  }

  async capture({ event, distinct_id, properties, uuid, timestamp }) {
    const captured = {
      event,
      distinct_id,
      uuid: uuid ?? randomUUID(),
      timestamp: timestamp ?? new Date().toISOString(),
      options: {},
      properties: properties ?? {},
    }
    this.pending.push(captured)
    if (this.pending.length >= this.flushAt) await this.flush()
    return captured.uuid
  }

  async flush() {
    let batch = this.pending.splice(0)
    const [requestId, createdAt] = [randomUUID(), new Date().toISOString()]
    const info = `${Sdk.NAME}/${Sdk.VERSION}`
    for (let attempt = 1; attempt <= this.attempts && batch.length > 0; attempt += 1) {
      const headers = {
        Authorization: `Bearer ${this.apiKey}`,
        'Content-Type': 'application/json',
        'User-Agent': info,
        'PostHog-Sdk-Info': info,
        'PostHog-Request-Id': requestId,
        'PostHog-Attempt': `${attempt}`,
        'PostHog-Request-Timestamp': new Date().toISOString(),
      }
      const body = JSON.stringify({ created_at: createdAt, batch })
      try {
        const response = await fetch(this.url, { method: 'POST', headers, body, redirect: 'manual' })
        const { status } = response
        if (!response.ok && ![408, 500, 502, 503, 504].includes(status)) break
        if (response.ok) {
          const { results } = await response.json()
          const verdict = (event) => results[event.uuid]?.result
          this.lose('dropped', batch.filter((event) => verdict(event) === 'drop').length)
          batch = batch.filter((event) => verdict(event) === 'retry')
        }
      } catch {
        // A connection that fails is retried like a 503.
      }
      if (batch.length > 0) await sleep(this.wait * 2 ** (attempt - 1))
    }
    this.lose('undelivered', batch.length)
  }

  lose(reason, count) {
    if (count) this.lost[reason] = (this.lost[reason] ?? 0) + count
  }
}
