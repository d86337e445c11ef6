// A conformance worker in JavaScript: node worker.mjs [SDK]
//
// It speaks the worker protocol (JSON lines on standard input and output) and calls the class `Sdk` of the module
// SDK, by default the sdk.mjs beside it. Only that file is yours to write; its comments say what belongs there.

import { createInterface } from 'node:readline'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Refused, Unsupported } from './errors.mjs'

const beside = new URL('sdk.mjs', import.meta.url)
const { Sdk } = await import(process.argv[2] ? pathToFileURL(resolve(process.argv[2])) : beside)

const TIMEOUT = Symbol('timeout')

// JSON.parse rounds numbers silently, so what a number does not hold is refused before.
function parse(text) {
  const outside = text.replace(/"(?:[^"\\]|\\.)*"/g, '""')
  for (const [number] of outside.matchAll(/-?\d[\d.eE+-]*/g)) {
    const value = Number(number)
    const digits = number.split(/[eE]/)[0].replace(/[-.]/g, '').replace(/^0+/, '').replace(/0+$/, '')
    const isRounded = digits.length > 15 || Object.is(value, -0) || (value === 0 && digits !== '')
    if (Number.isFinite(value) && isRounded) {
      throw new Unsupported(`a number does not hold ${number}`)
    }
  }
  return JSON.parse(text)
}

// With U+FFFD for lone surrogates, which the runner refuses.
const readable = (message) => message.replace(/\p{Surrogate}/gu, '\ufffd')

const CALLS = new Set(`hello init capture capture_text capture_hex identify alias group_identify register
  unregister opt_out opt_in flush flush_begin flush_wait close stats reports reset`.split(/\s+/))

class Worker {
  captured = 0
  lostBefore = 0
  flushes = []

  hello() {
    return { sdk_name: Sdk.NAME, sdk_version: Sdk.VERSION, forms: ['arguments'], faults: Sdk.FAULTS ?? [] }
  }

  async init({ api_key, settings, optional }) {
    const given = {}
    for (const [key, text] of Object.entries(settings)) {
      if (Sdk.SETTINGS[key]) given[key] = Sdk.SETTINGS[key](text)
      else if (!optional.includes(key)) throw new Unsupported(`there is no setting ${key}`)
    }
    this.captured = 0
    this.lostBefore = 0
    this.flushes = []
    this.sdk = new Sdk(api_key, given)
    return {}
  }

  async captures(uuid) {
    this.captured += 1
    return uuid ? { uuid } : {}
  }

  async capture(event) {
    return this.captures(await this.sdk.capture(event))
  }

  async capture_text(text) {
    let event
    try {
      event = parse(text)
    } catch (error) {
      throw error instanceof Unsupported ? error : new Unsupported('events are values, not JSON text')
    }
    if (event === null || typeof event !== 'object' || Array.isArray(event)) {
      throw new Unsupported('events are objects')
    }
    return this.capture(event)
  }

  capture_hex() {
    throw new Unsupported('a string has no invalid bytes')
  }

  async identify(argument) {
    return this.captures(await this.method('identify')(argument))
  }

  async alias(argument) {
    return this.captures(await this.method('alias')(argument))
  }

  async group_identify(argument) {
    return this.captures(await this.method('groupIdentify')(argument))
  }

  async register({ key, value }) {
    await this.method('register')(key, value)
    return {}
  }

  async unregister(key) {
    await this.method('unregister')(key)
    return {}
  }

  async opt_out() {
    await this.method('optOut')()
    return {}
  }

  async opt_in() {
    await this.method('optIn')()
    return {}
  }

  async flush(argument) {
    const { result } = this.flush_begin()
    return this.flush_wait({ flush: result.flush, ...argument })
  }

  flush_begin() {
    this.flushes.push(Promise.resolve(this.sdk.flush()).catch(() => {}))
    return { result: { flush: this.flushes.length - 1 } }
  }

  flush_wait({ flush, timeout_ms }) {
    return this.settled(this.flushes[flush], timeout_ms)
  }

  close({ timeout_ms }) {
    return this.settled(Promise.resolve(this.sdk.close()).catch(() => {}), timeout_ms)
  }

  stats() {
    const lost = this.lost()
    if (!lost) throw new Unsupported('the SDK does not say what is lost')
    return { result: { captured: this.captured, lost } }
  }

  reports() {
    throw new Unsupported('the SDK has no reports')
  }

  async reset() {
    await this.method('reset')()
    return {}
  }

  method(name) {
    if (!this.sdk?.[name]) throw new Unsupported(`the SDK has no ${name}`)
    return this.sdk[name].bind(this.sdk)
  }

  lost() {
    return this.sdk.lost?.()
  }

  async settled(call, timeoutMs) {
    let timer
    const late = new Promise((done) => { timer = setTimeout(done, timeoutMs, TIMEOUT) })
    const ended = await Promise.race([call, late])
    clearTimeout(timer)
    if (ended === TIMEOUT) return { status: 'timeout', message: 'events are still pending' }
    const lost = Object.values(this.lost() ?? {}).reduce((sum, count) => sum + count, 0)
    const before = this.lostBefore
    this.lostBefore = lost
    return lost > before ? { status: 'lost_events', message: 'events were lost' } : {}
  }

  async respond(line) {
    try {
      const { do: call, with: argument } = parse(line)
      if (!CALLS.has(call)) throw new Unsupported(`the worker has no call ${call}`)
      const response = await this[call](argument)
      return call === 'hello' ? response : { status: 'ok', ...response }
    } catch (error) {
      if (error instanceof Unsupported) return { unsupported: error.message }
      if (error instanceof Refused) return { status: error.status, message: readable(error.message) }
      // The SDK's own: to its user, the call has failed.
      return { status: 'refused', message: readable(`${error.name}: ${error.message}`) }
    }
  }
}

// What the SDK prints must not be taken for a response.
const respond = process.stdout.write.bind(process.stdout)
process.stdout.write = process.stderr.write.bind(process.stderr)
const worker = new Worker()
for await (const line of createInterface({ input: process.stdin })) {
  respond(`${JSON.stringify(await worker.respond(line))}\n`)
}
process.exit(0)
