// A bounded HTTP load client: C keep-alive connections, each sending its next request when the last
// one is answered (closed loop). It never retries, so a failure is a failure of what it talks to.
// Prints one JSON object to stdout; exit code 0 when the run itself went through, whatever failed
// in it, 2 on bad arguments.
//
//   node load.js --url http://127.0.0.1:8080/work --connections 32 --duration 5
//
// Sends only to loopback and private addresses.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');

const LIMITS = {connections: 1024, duration: 600, requests: 10_000_000, bodyBytes: 1 << 20};
const FIRST_ERRORS = 5;
const PAUSE_AFTER_FAILURE_MS = 20;  // a refused connection fails at once: do not spin on it

const USAGE = `usage: load.js --url URL [options]
  --connections N      connections at once (default 16, at most ${LIMITS.connections})
  --duration SECONDS   stop after so long (default 5, or the limit of ${LIMITS.duration} with --requests)
  --requests N         stop after so many requests (at most ${LIMITS.requests})
  --post-percent P     this share of requests is a POST (default 0)
  --post-path PATH     where POSTs go (default /echo); /echo must send the body back unchanged
  --body-bytes N       size of a POST's body (default 1024, at most ${LIMITS.bodyBytes})
  --timeout SECONDS    a request that takes longer has failed (default 30)
  --warmup SECONDS     leave the first seconds out of rps and the latencies (default 0); failures count
  --host NAME          Host header to send
  --ready-file PATH    created at the first answer
  --stop-file PATH     end early once this file exists (SIGTERM and SIGINT do the same)`;

function fail(message) {
  process.stderr.write(`load.js: ${message}\n`);
  process.exit(2);
}

function number(name, text, low, high) {
  const value = Number(text);
  if (text === '' || !(value >= low && value <= high)) {
    fail(`--${name}: "${text}" is not a number in ${low}-${high}`);
  }
  return value;
}

function isTestAddress(host) {
  if (host === 'localhost') return true;
  const address = host.replace(/^\[|\]$/g, '');
  const allowed = new net.BlockList();
  allowed.addSubnet('127.0.0.0', 8, 'ipv4');
  allowed.addSubnet('10.0.0.0', 8, 'ipv4');
  allowed.addSubnet('172.16.0.0', 12, 'ipv4');
  allowed.addSubnet('192.168.0.0', 16, 'ipv4');
  allowed.addAddress('::1', 'ipv6');
  allowed.addSubnet('fc00::', 7, 'ipv6');
  const family = net.isIP(address);
  return family !== 0 && allowed.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

function parseArguments(argv) {
  const options = {
    url: null, connections: 16, duration: null, requests: Infinity, postPercent: 0,
    postPath: '/echo', bodyBytes: 1024, timeoutMs: 30_000, warmupMs: 0,
    host: null, readyFile: null, stopFile: null,
  };
  for (let i = 0; i < argv.length; i += 2) {
    const [name, value] = [argv[i], argv[i + 1]];
    if (name === '--help') {
      process.stdout.write(USAGE + '\n');
      process.exit(0);
    }
    if (value === undefined) fail(`${name}: a value is missing\n${USAGE}`);
    switch (name) {
      case '--url': options.url = value; break;
      case '--connections':
        options.connections = Math.floor(number('connections', value, 1, LIMITS.connections));
        break;
      case '--duration': options.duration = number('duration', value, 0.1, LIMITS.duration); break;
      case '--requests':
        options.requests = Math.floor(number('requests', value, 1, LIMITS.requests));
        break;
      case '--post-percent': options.postPercent = number('post-percent', value, 0, 100); break;
      case '--post-path': options.postPath = value; break;
      case '--body-bytes':
        options.bodyBytes = Math.floor(number('body-bytes', value, 0, LIMITS.bodyBytes));
        break;
      case '--timeout': options.timeoutMs = number('timeout', value, 0.1, 600) * 1000; break;
      case '--warmup': options.warmupMs = number('warmup', value, 0, 60) * 1000; break;
      case '--ready-file': options.readyFile = value; break;
      case '--host': options.host = value; break;
      case '--stop-file': options.stopFile = value; break;
      default: fail(`${name}: no such option\n${USAGE}`);
    }
  }
  let url;
  try {
    url = new URL(options.url);
  } catch {
    fail(`--url: "${options.url}" is not a URL\n${USAGE}`);
  }
  if (url.protocol !== 'http:') fail('--url: only http:// is spoken');
  if (!isTestAddress(url.hostname)) {
    fail(`--url: ${url.hostname} is neither a loopback nor a private address`);
  }
  options.url = url;
  if (options.duration === null) {
    options.duration = options.requests === Infinity ? 5 : LIMITS.duration;
  }
  return options;
}

class Load {
  constructor(options) {
    this.options = options;
    this.agent = new http.Agent({keepAlive: true, maxSockets: options.connections});
    this.body = Buffer.alloc(options.bodyBytes, 'pando ');
    this.started = 0;
    this.posts = 0;
    this.inFlight = 0;
    this.answered = 0;
    this.failed = 0;
    this.measuredSuccesses = 0;
    this.reasons = {};
    this.firstErrors = [];
    this.latenciesMs = [];
    this.stopping = false;
  }

  run() {
    this.begin = performance.now();
    this.measureFrom = this.begin + this.options.warmupMs;
    return new Promise((resolve) => {
      this.finished = resolve;
      this.deadline = setTimeout(() => this.stop(), this.options.duration * 1000);
      if (this.options.stopFile !== null) {
        this.watch = setInterval(() => {
          if (fs.existsSync(this.options.stopFile)) this.stop();
        }, 20);
      }
      for (let i = 0; i < this.options.connections; ++i) this.next();
    });
  }

  // Requests in flight are waited for (each has its own timeout) and counted.
  stop() {
    this.stopping = true;
    clearTimeout(this.deadline);
    clearInterval(this.watch);
    if (this.inFlight === 0 && this.finished) {
      this.end ??= performance.now();
      this.agent.destroy();
      this.finished();
    }
  }

  next() {
    if (this.started >= this.options.requests) this.stopping = true;
    if (this.stopping) {
      this.stop();
      return;
    }
    this.started += 1;
    // Spread evenly, and the same in every run.
    const isPost = Math.floor(this.started * this.options.postPercent / 100) > this.posts;
    if (isPost) this.posts += 1;
    this.request(isPost);
  }

  request(isPost) {
    const {url, host, timeoutMs, postPath} = this.options;
    const headers = {};
    if (host !== null) headers.Host = host;
    if (isPost) headers['Content-Length'] = this.body.length;
    const start = performance.now();
    let done = false;
    const finish = (reason, detail) => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      this.inFlight -= 1;
      const now = performance.now();
      this.answered += 1;
      if (this.answered === 1 && this.options.readyFile !== null) {
        fs.writeFileSync(this.options.readyFile, '');
      }
      const measured = now >= this.measureFrom;
      if (measured) this.latenciesMs.push(now - start);
      if (reason === null) {
        if (measured) this.measuredSuccesses += 1;
        this.next();
        return;
      }
      this.recordFailure(reason, `${isPost ? 'POST' : 'GET'} after ${(now - start).toFixed(1)} ms: ${detail}`);
      setTimeout(() => this.next(), PAUSE_AFTER_FAILURE_MS);
    };
    const request = http.request({
      host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port || 80,
      method: isPost ? 'POST' : 'GET', path: isPost ? postPath : url.pathname + url.search,
      headers, agent: this.agent,
    });
    const timer = setTimeout(() => {
      finish('timeout', `no answer within ${timeoutMs} ms`);
      request.destroy();
    }, timeoutMs);
    this.inFlight += 1;
    request.on('response', (response) => this.read(response, isPost, finish));
    request.on('error', (error) => finish(error.code || 'error', error.message));
    request.end(isPost ? this.body : undefined);
  }

  read(response, isPost, finish) {
    const chunks = [];
    response.on('data', (chunk) => chunks.push(chunk));
    response.on('error', (error) => finish(error.code || 'error', `in the body: ${error.message}`));
    response.on('end', () => {
      const body = Buffer.concat(chunks);
      if (response.statusCode >= 400) {
        finish(`status ${response.statusCode}`, body.toString().slice(0, 200).trim());
      } else if (isPost && this.options.postPath === '/echo' && !body.equals(this.body)) {
        finish('wrong body', `${body.length} bytes came back for ${this.body.length}`);
      } else {
        finish(null);
      }
    });
  }

  recordFailure(reason, detail) {
    this.failed += 1;
    this.reasons[reason] = (this.reasons[reason] || 0) + 1;
    if (this.firstErrors.length < FIRST_ERRORS) {
      this.firstErrors.push({time: new Date().toISOString(), reason, detail});
    }
  }

  report() {
    const seconds = Math.max(0.001, (this.end - this.measureFrom) / 1000);
    const sorted = Float64Array.from(this.latenciesMs).sort();
    const round = (value, digits) => Number(value.toFixed(digits));
    const quantile = (q) => sorted.length === 0 ? 0 :
        round(sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))], 2);
    return {
      requests: this.answered,
      failed: this.failed,
      reasons: this.reasons,
      first_errors: this.firstErrors,
      posts: this.posts,
      connections: this.options.connections,
      seconds: round(seconds, 3),
      rps: round(this.measuredSuccesses / seconds, 1),
      p50_ms: quantile(0.5),
      p99_ms: quantile(0.99),
      max_ms: quantile(1),
    };
  }
}

async function main() {
  const load = new Load(parseArguments(process.argv.slice(2)));
  process.on('SIGTERM', () => load.stop());
  process.on('SIGINT', () => load.stop());
  await load.run();
  process.stdout.write(JSON.stringify(load.report()) + '\n');
}

main();
