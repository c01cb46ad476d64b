// A person without a browser: follows redirects and pages that go on by themselves, keeps cookies, and sends the forms
// of pages that work without a script, as `human.mjs` would. Takes the same options but for the pictures, and prints
// the same.
//
//   node forms.mjs [--user alice] [--password password] [--decline] [--until PREFIX] URL
import { parseArgs } from 'node:util';

const { values: options, positionals: [start] } = parseArgs({
  allowPositionals: true,
  options: {
    user: { type: 'string', default: 'alice' },
    password: { type: 'string', default: 'password' },
    decline: { type: 'boolean', default: false },
    until: { type: 'string' },
  },
});
const YES = /^\W*(allow|approve|authorize|accept|connect|continue|log.?in|sign.?in|confirm)\b/i;
const NO = /^\W*(deny|decline|cancel|refuse)\b/i;

const jars = new Map();
const pages = [];
let at = new URL(start);
let failed;
try {
  let answer = await go(at);
  for (let step = 0; step < 15 && !arrived(); step += 1) {
    const html = await answer.text();
    pages.push({ url: at.href, status: answer.status, text: words(html) });
    const onward = /<meta http-equiv="refresh" content="0; ?url=([^"]+)"/i.exec(html);
    if (onward) {
      answer = await go(new URL(unescape(onward[1]), at));
      continue;
    }
    const form = choose(html);
    if (!form) break;
    answer = await go(form.action, form.method, form.fields);
  }
} catch (error) {
  failed = error;
}
console.log(JSON.stringify({ url: at.href, pages, ...(failed && { error: failed.stack }) }));
process.exit(failed || (options.until && !arrived()) ? 1 : 0);

function arrived() {
  return options.until !== undefined && at.href.startsWith(options.until);
}

/** Goes to `url` and on to wherever it sends us; the callback of a client is where it ends. */
async function go(url, method = 'GET', fields) {
  for (let hops = 0; hops < 15; hops += 1) {
    at = url;
    const jar = jars.get(url.host) ?? jars.set(url.host, new Map()).get(url.host);
    const query = method === 'GET' && fields ? new URL(`?${new URLSearchParams(fields)}`, url) : url;
    const answer = await fetch(query, {
      method,
      redirect: 'manual',
      headers: {
        accept: 'text/html',
        cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(method === 'POST' && { 'content-type': 'application/x-www-form-urlencoded', origin: url.origin }),
      },
      body: method === 'POST' ? new URLSearchParams(fields).toString() : undefined,
    });
    for (const set of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(set);
      if (/max-age=0\b/i.test(set)) jar.delete(name); else jar.set(name, value);
    }
    const location = answer.headers.get('location');
    if (answer.status < 300 || answer.status > 399 || !location || arrived()) return answer;
    [url, method, fields] = [new URL(location, url), 'GET', undefined];
  }
  throw new Error(`too many redirects, at ${at.href}`);
}

/** The form to send, and with which button. */
function choose(html) {
  const forms = [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, own, inner]) => ({ own, inner }));
  for (const wanted of [options.decline ? NO : YES, new RegExp(`\\b${options.user}\\b`, 'i')]) {
    for (const { own, inner } of forms) {
      for (const [, its, label] of inner.matchAll(/<button\b([^>]*)>([\s\S]*?)<\/button>/gi)) {
        if (wanted.test(words(label))) return filled(own, inner, its);
      }
    }
  }
  return undefined;
}

function filled(own, inner, button) {
  const fields = [];
  for (const [, its] of inner.matchAll(/<input\b([^>]*)>/gi)) {
    const [name, type] = [attribute(its, 'name'), attribute(its, 'type')];
    if (!name || (/^(checkbox|radio)$/.test(type) && !/\bchecked\b/.test(its))) continue;
    if (type === 'password') fields.push([name, options.password]);
    else if (/^(username|login|user|name)$/.test(name) && type !== 'hidden') fields.push([name, options.user]);
    else fields.push([name, attribute(its, 'value') ?? '']);
  }
  if (attribute(button, 'name')) fields.push([attribute(button, 'name'), attribute(button, 'value') ?? '']);
  const action = attribute(button, 'formaction') ?? attribute(own, 'action') ?? '';
  return { action: new URL(action, at), method: (attribute(own, 'method') ?? 'get').toUpperCase(), fields };
}

function attribute(tag, name) {
  const found = new RegExp(`\\s${name}=(?:"([^"]*)"|'([^']*)'|([^\\s>]+))`, 'i').exec(tag);
  return found ? unescape(found[1] ?? found[2] ?? found[3]) : undefined;
}

function words(html) {
  const body = html.replace(/<(style|script|head|svg)\b[\s\S]*?<\/\1>/gi, ' ').replace(/<[^>]*>/g, ' ');
  return unescape(body).replace(/\s+/g, ' ').trim().slice(0, 2000);
}

function unescape(text) {
  const named = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' };
  return text.replace(/&(#x?[0-9a-f]+|\w+);/gi, (whole, what) => {
    if (what[0] !== '#') return named[what] ?? whole;
    return String.fromCodePoint(what[1].toLowerCase() === 'x' ? parseInt(what.slice(2), 16) : Number(what.slice(1)));
  });
}
