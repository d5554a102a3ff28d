// Sign-in of the stand-in API, in memory and without a secret worth the name: one admin, ada / correct-horse-battery,
// code 123456. `--as=viewer|operator|admin|nobody` says who looks at first; nobody must sign in.
const iso = (ms) => new Date(ms).toISOString();
const NOW = Date.parse("2026-01-05T09:00:00Z");
const CODE = "123456";
const QR = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 25 25"><rect width="25" height="25" fill="#fff"/>' + Array.from({ length: 21 * 21 }, (_, i) => ((i * 7919) % 13 < 6 ? `<rect x="${2 + (i % 21)}" y="${2 + Math.floor(i / 21)}" width="1" height="1"/>` : "")).join("") + "</svg>";

const ok = (body) => ({ status: 200, body });
const problem = (status, code, detail, more = {}) => ({ status, body: { type: "about:blank", title: code, status, code, detail, ...more } });

export class Access {
  constructor(as) {
    this.users = [
      { name: "ada", role: "admin", disabled: false, totp: true, password: true, sessions: 1, created: iso(NOW), last_seen: iso(NOW) },
      { name: "grace", role: "operator", disabled: false, totp: false, password: true, sessions: 1, created: iso(NOW), last_seen: null },
      { name: "emmy", role: "viewer", disabled: true, totp: false, password: false, sessions: 0, created: iso(NOW), last_seen: null },
    ];
    this.who = as === "nobody" ? null : { name: { admin: "ada", operator: "grace", viewer: "emmy" }[as], role: as, totp: as === "admin", password: true };
    this.tokens = [{ id: 1, name: "nightly report", role: "viewer", scopes: ["read"], created: iso(NOW), expires: iso(NOW + 90 * 86_400_000), last_used: null }];
    this.sessions = [[1, "Mozilla/5.0 (X11; Linux x86_64) Chrome/143.0", true], [2, "Mozilla/5.0 (iPhone; CPU iPhone OS 19) Safari/605", false]].map(([id, user_agent, current]) => ({ id, created: iso(NOW), last_seen: iso(NOW), expires: iso(NOW + 7 * 86_400_000), user_agent, current }));
    this.failures = 0;
    this.seq = 0;
    this.log = [];
    this.note("login", this.who?.name ?? "cli", null, { role: as }, null);
    this.note("trading_toggle", "trading", { toggle: "off" }, { toggle: "shadow" }, "data is whole");
    this.note("settings", "settings", { MAX_POSITIONS: 6 }, { MAX_POSITIONS: 5 }, "smaller book over the weekend");
  }

  note(action, target, before, after, reason) {
    this.seq += 1;
    this.log.unshift({ seq: this.seq, ts: iso(NOW + this.seq * 60_000), actor: this.who?.name ?? "cli", action, target, before, after, reason });
  }

  me() {
    return { signed_in: this.who !== null, user: this.who, step_up_until: this.stepUp ?? null, csrf: this.who === null ? null : "mock-csrf", demo: true, first_use: false };
  }

  enter(name) {
    const user = this.users.find((one) => one.name === name);
    this.who = { name: user.name, role: user.role, totp: user.totp, password: user.password };
    this.failures = 0;
    this.note("login", name, null, { role: user.role }, null);
    return ok(this.me());
  }

  /** Answer of a request; undefined when it is none of the sign-in's and may go on. */
  handle(method, path, body, csrf) {
    if (path === "/api/auth/me") return ok(this.me());
    if (method === "POST" && path === "/api/auth/login") return this.login(body);
    if (method === "POST" && path === "/api/auth/link") return this.link(body);
    if (this.who === null) return problem(401, "SIGN_IN_NEEDED", "sign in first");
    if (method === "POST" && csrf !== "mock-csrf") return problem(403, "CSRF", "the header X-CSRF is missing or old");
    if (/^\/api\/(users|audit)/.test(path) && this.who.role !== "admin") return problem(403, "ROLE_NEEDED", "needs the role admin");
    const route = ROUTES.find(([wanted, pattern]) => wanted === method && pattern.test(path));
    return route?.[2](this, body, route[1].exec(path));
  }

  login({ name, password, code }) {
    if (this.failures >= 5) {
      this.failures = 0;
      return { ...problem(429, "TOO_MANY_ATTEMPTS", "wait"), headers: { "retry-after": "5" } };
    }
    const user = this.users.find((one) => one.name === name && !one.disabled);
    if (user === undefined || password !== "correct-horse-battery") {
      this.failures += 1;
      return problem(401, "SIGN_IN_REFUSED", "name, password or code is wrong");
    }
    if (user.totp && code === undefined) return problem(401, "CODE_NEEDED", "a code is needed");
    if (user.totp && code !== CODE) return problem(401, "SIGN_IN_REFUSED", "name, password or code is wrong");
    return this.enter(name);
  }

  link({ token, password }) {
    if (token === "first" && (password?.length ?? 0) < 12) return problem(422, "INVALID_INPUT", "password: expected at least 12 characters");
    return token === "demo" || token === "first" ? this.enter("ada") : problem(401, "LINK_REFUSED", "unknown, used or too old");
  }
}

const user = (self, [, name]) => self.users.find((one) => one.name === decodeURIComponent(name));
const ROUTES = [
  ["POST", /^\/api\/auth\/logout$/, (self) => ((self.who = null), { status: 204 })],
  ["POST", /^\/api\/auth\/step-up$/, (self, { code }) => (code === CODE ? ((self.stepUp = iso(Date.now() + 300_000)), ok(self.me())) : problem(401, "SIGN_IN_REFUSED", "the code is wrong"))],
  ["POST", /^\/api\/auth\/password$/, (self) => (self.note("password", self.who.name, null, null, null), ok(self.me()))],
  ["POST", /^\/api\/auth\/totp$/, () => ok({ secret: "JBSWY3DPEHPK3PXP", uri: "otpauth://totp/Perpilot:ada?secret=JBSWY3DPEHPK3PXP", qr_svg: QR })],
  ["POST", /^\/api\/auth\/totp\/confirm$/, (self, { code }) => (code === CODE ? ((self.who = { ...self.who, totp: true }), ok({ ...self.me(), recovery_codes: Array.from({ length: 10 }, (_, i) => `${1_000 + i * 737}-${9_999 - i * 613}`) })) : problem(401, "SIGN_IN_REFUSED", "the code is wrong"))],
  ["POST", /^\/api\/auth\/totp\/remove$/, (self, { code }) => (code === CODE ? ((self.who = { ...self.who, totp: false }), ok(self.me())) : problem(401, "SIGN_IN_REFUSED", "the code is wrong"))],
  ["GET", /^\/api\/auth\/sessions$/, (self) => ok(self.sessions)],
  ["POST", /^\/api\/auth\/sessions\/(\w+)\/end$/, (self, _, [, id]) => ((self.sessions = self.sessions.filter((one) => one.id !== Number(id))), { status: 204 })],
  ["GET", /^\/api\/auth\/tokens$/, (self) => ok(self.tokens)],
  ["POST", /^\/api\/auth\/tokens$/, (self, body) => (self.tokens.push({ id: self.tokens.length + 1, ...body, created: iso(NOW), expires: iso(NOW + body.days * 86_400_000), last_used: null }), ok({ id: 2, name: body.name, token: "pp_3f9c0a7e51d24b8896e0" }))],
  ["POST", /^\/api\/auth\/tokens\/(\w+)\/end$/, (self, _, [, id]) => ((self.tokens = self.tokens.filter((one) => one.id !== Number(id))), { status: 204 })],
  ["GET", /^\/api\/users$/, (self) => ok(self.users)],
  ["POST", /^\/api\/users$/, (self, { name, role }) => (self.users.push({ name, role, disabled: false, totp: false, password: false, sessions: 0, created: iso(NOW), last_seen: null }), self.note("user", name, null, { role }, null), ok({ ...self.users.at(-1), link: "http://127.0.0.1:8010/login#link=demo" }))],
  ["POST", /^\/api\/users\/([^/]+)\/link$/, () => ok({ link: "http://127.0.0.1:8010/login#link=demo" })],
  ["POST", /^\/api\/users\/([^/]+)\/reset-totp$/, (self, _, match) => ((user(self, match).totp = false), ok(user(self, match)))],
  ["POST", /^\/api\/users\/([^/]+)$/, (self, body, match) => (user(self, match).name === "ada" && (body.disabled || (body.role ?? "admin") !== "admin") ? problem(409, "LAST_ADMIN", "the last enabled admin cannot be disabled or demoted") : ok(Object.assign(user(self, match), body)))],
  ["GET", /^\/api\/audit$/, (self) => ok({ items: self.log, next_cursor: null, chain: { ok: true, first_broken: null } })],
];
