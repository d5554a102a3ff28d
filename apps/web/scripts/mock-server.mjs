// A stand-in for the API, for looking at the desk without the system behind it: serves out/, plausible REST answers
// and the gateway. Development only; nothing of the product talks to it.
//   node scripts/mock-server.mjs [port] [--speed=60] [--seed=1] [--symbols=30] [--as=admin|operator|viewer|nobody]
import { readFile, stat } from "node:fs/promises";
import http from "node:http";
import path from "node:path";
import { WebSocketServer } from "ws";
import { Access } from "./mock-access.mjs";
import { Actions } from "./mock-actions.mjs";
import { Market } from "./mock-market.mjs";

const word = (name, fallback) => process.argv.find((one) => one.startsWith(`--${name}=`))?.split("=")[1] ?? fallback;
const arg = (name, fallback) => Number(word(name, fallback));
const PORT = Number(process.argv[2]?.startsWith("-") ? 0 : (process.argv[2] ?? 8010));
const SPEED = arg("speed", 60);
const OUT = path.resolve("out");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".txt": "text/plain", ".woff2": "font/woff2", ".svg": "image/svg+xml", ".json": "application/json", ".ico": "image/x-icon" };
const CSP = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self' ws:; frame-ancestors 'none'; base-uri 'none'";

const market = new Market({ seed: arg("seed", 1), speed: SPEED, symbols: arg("symbols", 30) });
const access = new Access(word("as", "admin"));
const actions = new Actions(market, access);

const ROUTES = [
  [/^\/api\/status$/, () => market.status()],
  [/^\/api\/universe$/, () => market.universe()],
  // Only the shadow account is traded here.
  [/^\/api\/account\/latest$/, (_, query) => (query.get("mode") === "live" ? null : market.account())],
  [/^\/api\/account\/equity$/, () => market.equity()],
  [/^\/api\/positions\/latest$/, (_, query) => (query.get("mode") === "live" ? [] : market.positions())],
  [/^\/api\/signals\/latest$/, (_, query) => ({ ts: market.signals()[0]?.ts ?? null, items: Number(query.get("limit")) < 30 ? market.ranking(query.get("sort")).slice(0, Number(query.get("limit"))) : market.signals() })],
  [/^\/api\/risk\/state$/, (_, query) => market.risk(query.get("mode") ?? "shadow")],
  [/^\/api\/trading\/gate$/, () => market.gate()],
  [/^\/api\/fills$/, () => ({ items: market.fills(), next_cursor: null })],
  [/^\/api\/intents$/, (_, query) => ({ items: market.intents(query.get("lapsed") === "true"), next_cursor: null })],
  [/^\/api\/execution$/, () => market.execution()],
  [/^\/api\/data-quality\/map$/, (_, query) => market.qualityMap(query)],
  [/^\/api\/data-quality\/summary$/, () => market.quality()],
  [/^\/api\/drift$/, () => market.drift()],
  [/^\/api\/settings$/, () => actions.settings()],
  [/^\/api\/settings\/versions$/, () => ({ items: actions.versions, next_cursor: null })],
  [/^\/api\/account\/equity\/overlay$/, () => market.overlay()],
  [/^\/api\/account\/profit$/, (_, query) => market.profit(query.get("period") ?? "day")],
  [/^\/api\/annotations$/, () => market.annotations()],
  [/^\/api\/schedules$/, () => actions.schedules],
  [/^\/api\/models\/([\w-]+)\/evidence$/, () => actions.evidence()],
  [/^\/api\/models\/([\w-]+)$/, ([, id]) => market.model(id)],
  [/^\/api\/symbol\/([A-Z0-9]+)\/series$/, ([, symbol], query) => market.series(symbol, query)],
  [/^\/api\/orders$/, () => ({ items: market.orders(), next_cursor: null })],
  [/^\/api\/trades$/, () => ({ items: market.trades(), next_cursor: null })],
  [/^\/api\/training\/jobs$/, () => [...actions.jobs, ...market.jobs()]],
  [/^\/api\/models$/, () => market.models()],
];

/** What is not played here is answered as the API's document shows it; null where the document knows no such address. */
const EXAMPLES = Object.entries(JSON.parse(await readFile(path.join(import.meta.dirname, "../openapi.json"), "utf8")).paths).flatMap(([address, operations]) =>
  Object.entries(operations).flatMap(([method, { responses }]) => {
    const [status, answer] = Object.entries(responses ?? {}).find(([code]) => code.startsWith("2")) ?? [];
    const content = answer?.content?.["application/json"];
    const body = content?.example ?? Object.values(content?.examples ?? {})[0]?.value;
    return status === undefined || (content !== undefined && body === undefined) ? [] : [{ method: method.toUpperCase(), pattern: new RegExp(`^${address.replace(/\{\w+\}/g, "[^/]+")}$`), status: Number(status), body }];
  }),
);

function example(method, pathname) {
  const found = EXAMPLES.find((one) => one.method === method && one.pattern.test(pathname));
  return found === undefined ? null : { status: found.status, body: found.body };
}

const accepted = (body) => ({ status: 202, body });
const refused = (conditions) => ({ status: 409, body: { title: "refused", status: 409, code: "REFUSED", detail: "the evidence is not whole", conditions: conditions.filter(({ met }) => !met) } });
const COMMANDS = [
  ["POST", /^\/api\/trading\/toggle$/, (_, { mode }) => accepted(market.toggle(mode))],
  ["POST", /^\/api\/trading\/kill-switch$/, (_, { action }) => accepted(market.switch(action))],
  ["POST", /^\/api\/training\/jobs$/, (_, { kind, params }) => accepted(actions.start(kind, params))],
  ["POST", /^\/api\/training\/jobs\/([\w-]+)\/(cancel|retry)$/, ([, id, what]) => accepted(actions.job(id, what))],
  ["POST", /^\/api\/data-quality\/repair$/, (_, body) => accepted(actions.start("repair", body))],
  ["POST", /^\/api\/models\/rollback$/, () => ({ status: 200, body: market.models()[1] })],
  ["POST", /^\/api\/models\/([\w-]+)\/promote$/, ([, id], { override }) => (override ? { status: 200, body: market.model(id) } : refused(actions.evidence().conditions))],
  ["POST", /^\/api\/schedules\/(\w+)$/, ([, name], body) => ({ status: 200, body: Object.assign(actions.schedules.find((one) => one.name === name), body) })],
  ["POST", /^\/api\/schedules\/(\w+)\/run$/, ([, name]) => accepted(actions.start(name, {}))],
  ["POST", /^\/api\/signals\/explain$/, () => ({ status: 200, body: actions.explain() })],
  ["POST", /^\/api\/settings$/, (_, body) => accepted(actions.change(body))],
];

function json(response, { status, body, headers = {} }) {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}

async function bodyOf(request) {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text === "" ? {} : JSON.parse(text);
}

/** What changes something, or may be refused: commands answer like the API, roles and codes included. */
async function api(request, url) {
  const body = await bodyOf(request);
  const answer = access.handle(request.method, url.pathname, body, request.headers["x-csrf"]);
  if (answer !== undefined) return answer;
  for (const [method, pattern, act] of request.method === "POST" ? COMMANDS : []) {
    const match = pattern.exec(url.pathname);
    if (match && method === request.method) return act(match, body);
  }
  for (const [pattern, read] of ROUTES) {
    const match = pattern.exec(url.pathname);
    if (match && request.method === "GET") return { status: 200, body: read(match, url.searchParams) };
  }
  return example(request.method, url.pathname) ?? { status: 404, body: { title: "not found", status: 404, code: "NOT_FOUND", detail: url.pathname } };
}

// The symbol page is exported once: every name is served by its placeholder, also for client navigation.
function mapped(pathname) {
  return pathname.replace(/^\/symbol\/[A-Z0-9]{2,20}(?=\/|$)/, "/symbol/_");
}

async function file(pathname) {
  const full = path.join(OUT, path.normalize(mapped(pathname)));
  if (!full.startsWith(OUT)) return null;
  const found = await stat(full).catch(() => null);
  const target = found?.isDirectory() ? path.join(full, "index.html") : full;
  const bytes = await readFile(target).catch(() => null);
  return bytes === null ? null : { bytes, type: TYPES[path.extname(target)] ?? "application/octet-stream" };
}

const server = http.createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname.startsWith("/api/")) return json(response, await api(request, url));
  const found = await file(decodeURIComponent(url.pathname));
  const answer = found ?? (await file("/404.html"));
  response.writeHead(found ? 200 : 404, { "content-type": answer?.type ?? "text/plain", "content-security-policy": CSP });
  response.end(answer?.bytes ?? "not found");
});

const STATE = { status_updates: () => market.status(), signal_updates: () => market.signals(), position_updates: () => market.positions(), account_updates: () => market.account(), order_updates: () => market.orders().slice(0, 5), risk_events: () => [], training_updates: () => [...actions.jobs, ...market.jobs()] };
const sockets = new WebSocketServer({ server, path: "/ws" });
sockets.on("connection", (socket) => {
  socket.seqs = new Map();
  const send = (channel, type) => {
    const seq = (socket.seqs.get(channel) ?? 0) + 1;
    socket.seqs.set(channel, seq);
    socket.send(JSON.stringify({ channel, type, seq, data: STATE[channel]() }));
  };
  socket.push = (channel) => socket.seqs.has(channel) && send(channel, "update");
  socket.on("message", (raw) => {
    const message = JSON.parse(raw);
    if (message.op === "ping") socket.send(JSON.stringify({ type: "pong" }));
    if (message.op === "subscribe") for (const channel of message.channels) if (STATE[channel]) send(channel, "snapshot");
    if (message.op === "unsubscribe") for (const channel of message.channels) socket.seqs.delete(channel);
  });
});
const push = (...channels) => {
  for (const socket of sockets.clients) for (const channel of channels) socket.push(channel);
};
setInterval(() => push("status_updates", "training_updates"), 1_000);
setInterval(() => {
  market.step();
  push("signal_updates", "position_updates", "account_updates", "order_updates");
}, 60_000 / SPEED);

server.listen(PORT, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));
