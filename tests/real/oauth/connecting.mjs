// A client (the TypeScript SDK's) of a gateway whose upstream its user has yet to connect: it connects it when it is
// asked to, in whichever way its revision has, and then calls every tool there is.
//
//   HUMAN='["node", "forms.mjs", …]' node connecting.mjs --token TOKEN [--mode legacy|auto|2026-07-28] [--rounds 3] URL
//
// Prints `{"protocolVersion", "before", "after", "asked", "calls"}`: the tools before and after, how often the user
// was asked and in which way, and what each tool said.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const { values: options, positionals: [url] } = parseArgs({
  allowPositionals: true,
  options: {
    token: { type: 'string' },
    mode: { type: 'string', default: 'auto' },
    rounds: { type: 'string', default: '3' },
  },
});
const asked = [];

const negotiation = ['legacy', 'auto'].includes(options.mode) ? options.mode : { pin: options.mode };
const client = new Client(
  { name: 'connecting', version: '1.0.0' },
  { capabilities: { elicitation: { url: {} } }, versionNegotiation: { mode: negotiation } },
);
client.setRequestHandler('elicitation/create', async ({ params }) => {
  await send(params.url, 'elicitation/create');
  return { action: 'accept' };
});
const requestInit = { headers: { authorization: `Bearer ${options.token}` } };
await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
const protocolVersion = client.getNegotiatedProtocolVersion();

const before = await names();
if (before.some(isConnect)) await call(before.find(isConnect));
let after = await names();
// What was connected just now is listed when its tools were asked for.
for (let tries = 0; tries < 50 && after.some(isConnect); tries += 1) {
  await sleep(100);
  after = await names();
}
const calls = {};
for (const name of after) calls[name] = await call(name);
console.log(JSON.stringify({ protocolVersion, before, after, asked, calls }));
await client.close();
process.exit(0);

async function names() {
  return (await client.listTools()).tools.map((tool) => tool.name).sort();
}

function isConnect(name) {
  return /(^|_|\.)connect$/.test(name);
}

async function call(name, round = 1) {
  try {
    const { content, isError } = await client.callTool({ name, arguments: {} });
    const text = content.map((item) => item.text ?? '').join('\n');
    const link = isError && /https?:\/\/\S*\/connect\/[\w.~-]+/.exec(text)?.[0];
    if (!link || round >= Number(options.rounds)) return text;
    await send(link, 'result');
  } catch (error) {
    const links = (error.data?.elicitations ?? []).map((each) => each.url);
    if (error.code !== -32042 || links.length === 0 || round >= Number(options.rounds)) return `error ${error.code}: ${error.message}`;
    for (const link of links) await send(link, '-32042');
  }
  return call(name, round + 1);
}

async function send(link, how) {
  asked.push(how);
  const [command, ...args] = JSON.parse(process.env.HUMAN);
  const human = spawn(command, [...args, link], { stdio: ['ignore', 2, 2] });
  await once(human, 'exit');
}
