import { QueryClient } from "@tanstack/react-query";
import { act, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";
import { KillSwitchControl } from "@/components/panels/KillSwitchControl";
import { SessionGate } from "@/components/shell/SessionGate";
import { Shell } from "@/components/shell/Shell";
import type { Me } from "@/lib/api/access";
import { door, rememberMe } from "@/lib/api/session";
import { linkOf, mayAs, passwordFault, programOf, safeNext } from "@/lib/domain/access";
import { meQuery, takeMe } from "@/lib/queries/access";
import { keys } from "@/lib/queries/keys";
import { navigation } from "@/testing/navigation";
import { ADMIN, fakeNetwork, renderDesk } from "@/testing/render";
import { STATUS } from "@/testing/samples";
import { LoginView } from "./LoginView";
import { SettingsView } from "./SettingsView";

const OUT: Me = { ...ADMIN, signed_in: false, user: null, csrf: null };
const as = (role: "viewer" | "operator" | "admin", totp = false): Me => ({ ...ADMIN, user: { name: "ada", role, totp, password: true } });
const refusal = (status: number, code: string) => ({ status, body: { code, status, detail: code } });


describe("rules", () => {
  it("lead back only into the desk", () => {
    expect(safeNext("/risk/?account=live")).toBe("/risk/?account=live");
    for (const bad of [null, "https://evil.example/", "//evil.example/", "/\\evil.example", "/login/?next=x"]) expect(safeNext(bad)).toBe("/dashboard/");
  });

  it("read links, passwords, programs and roles", () => {
    expect(linkOf("#link=abc")).toBe("abc");
    expect(linkOf("#other=1")).toBeNull();
    expect(passwordFault("short", "short")).toBe("short");
    expect(passwordFault("long enough now", "long enough not")).toBe("differs");
    expect(passwordFault("long enough now", "long enough now")).toBeNull();
    expect(programOf("Mozilla/5.0 (X11; Linux x86_64) Chrome/143.0")).toBe("Chrome · Linux");
    expect([mayAs(undefined, "admin"), mayAs(as("operator"), "admin"), mayAs(as("operator"), "operator")]).toEqual([true, false, true]);
  });
});

describe("signing in", () => {
  const page = (url = "/login/?next=%2Frisk%2F") => {
    window.history.replaceState(null, "", url);
    return renderDesk(<LoginView />, { me: OUT });
  };

  it("asks for the code when the account has one, and goes on to where one wanted to be", async () => {
    const requests = fakeNetwork((path, init) => (path === "/api/auth/login" ? (String(init.body).includes("123456") ? { status: 200, body: as("admin", true) } : refusal(401, "CODE_NEEDED")) : undefined));
    page();
    await userEvent.type(screen.getByTestId("login-name"), "ada");
    await userEvent.type(screen.getByTestId("login-password"), "correct horse");
    await userEvent.click(screen.getByTestId("login-submit"));
    await userEvent.type(await screen.findByTestId("login-code"), "123456");
    expect(screen.queryByTestId("login-refusal")).toBeNull();
    await userEvent.click(screen.getByTestId("login-submit"));
    await waitFor(() => expect(navigation.pushed).toEqual(["/risk/"]));
    expect(requests.at(-1)!.body).toEqual({ name: "ada", password: "correct horse", code: "123456" });
  });

  it("says why not in plain words", async () => {
    fakeNetwork(() => refusal(401, "SIGN_IN_REFUSED"));
    page();
    await userEvent.type(screen.getByTestId("login-name"), "ada");
    await userEvent.type(screen.getByTestId("login-password"), "x{Enter}");
    expect(await screen.findByTestId("login-refusal")).toHaveTextContent("Name, password or code is wrong.");
  });

  it("uses a link once, and takes it out of the address", async () => {
    const requests = fakeNetwork((path) => (path === "/api/auth/link" ? { status: 200, body: as("admin") } : undefined));
    page("/login/#link=t0ken");
    await waitFor(() => expect(navigation.pushed).toEqual(["/dashboard/"]));
    expect(requests.filter(({ path }) => path === "/api/auth/link")).toEqual([{ path: "/api/auth/link", method: "POST", body: { token: "t0ken" } }]);
    expect(window.location.hash).toBe("");
  });

  it("sets the first password where a link alone is not enough", async () => {
    const requests = fakeNetwork((path, init) => (path === "/api/auth/link" ? (String(init.body).includes("password") ? { status: 200, body: as("admin") } : refusal(422, "INVALID_INPUT")) : undefined));
    page("/login/#link=t0ken");
    await userEvent.type(await screen.findByTestId("password-new"), "correct horse battery");
    expect(screen.getByTestId("login-submit")).toBeDisabled();
    await userEvent.type(screen.getByTestId("password-again"), "correct horse battery");
    await userEvent.click(screen.getByTestId("login-submit"));
    await waitFor(() => expect(navigation.pushed).toEqual(["/dashboard/"]));
    expect(requests.at(-1)!.body).toEqual({ token: "t0ken", password: "correct horse battery" });
  });

  it("tells how to get another link when one is refused", async () => {
    fakeNetwork(() => refusal(401, "LINK_REFUSED"));
    page("/login/#link=old");
    expect(await screen.findByTestId("login-refusal")).toHaveTextContent("perpilot user link");
    await userEvent.click(screen.getByTestId("login-with-password"));
    expect(screen.getByTestId("login-form")).toBeInTheDocument();
  });
});

describe("a session", () => {
  it("leads to the sign-in and remembers where from", async () => {
    window.history.replaceState(null, "", "/risk/?account=live");
    renderDesk(<SessionGate>{null}</SessionGate>, { me: OUT });
    await waitFor(() => expect(navigation.pushed).toEqual(["/login/?next=%2Frisk%2F%3Faccount%3Dlive"]));
  });

  it("stands in the header with its role and ends there", async () => {
    const requests = fakeNetwork((path) => (path === "/api/auth/logout" ? { status: 200, body: undefined } : undefined));
    const { client } = renderDesk(<Shell>{null}</Shell>, { status: STATUS, universe: [], me: as("operator") });
    expect(screen.getByTestId("user-menu")).toHaveAttribute("data-role", "operator");
    await userEvent.click(screen.getByTestId("user-menu"));
    expect(await screen.findByTestId("user-name")).toHaveTextContent("adaoperator");
    await userEvent.click(screen.getByTestId("user-sign-out"));
    await waitFor(() => expect(requests.map(({ path }) => path)).toContain("/api/auth/logout"));
    await waitFor(() => expect(client.getQueryData<Me>(keys.me)!.signed_in).toBe(false));
  });

  it("says so where it could not be ended", async () => {
    fakeNetwork((path) => (path === "/api/auth/logout" ? { status: 500, body: { type: "about:blank", code: "INTERNAL", title: "Error", status: 500, detail: "something broke" } } : undefined));
    const { client } = renderDesk(<Shell>{null}</Shell>, { status: STATUS, universe: [], me: as("operator") });
    await userEvent.click(screen.getByTestId("user-menu"));
    await userEvent.click(screen.getByTestId("user-sign-out"));
    expect(await screen.findByTestId("refusal")).toHaveTextContent("something broke");
    expect(client.getQueryData<Me>(keys.me)!.signed_in).toBe(true);
  });

  it("shows what a role may not do, and why", async () => {
    renderDesk(<KillSwitchControl />, { status: STATUS, me: as("viewer") });
    const halt = screen.getByTestId("kill-switch-halt");
    expect(halt).toHaveAttribute("aria-disabled");
    expect(halt).toHaveTextContent("Needs the role operator");
    await userEvent.click(halt);
    expect(screen.queryByTestId("kill-switch-form-halt")).toBeNull();
  });

  it("asks for a fresh code and repeats the change with it", async () => {
    rememberMe(ADMIN);
    let fresh = false;
    const requests = fakeNetwork((path, init) => {
      if (path === "/api/auth/step-up") {
        fresh = JSON.parse(String(init.body)).code === "123456";
        return fresh ? { status: 200, body: as("admin", true) } : refusal(401, "SIGN_IN_REFUSED");
      }
      if (path === "/api/trading/kill-switch") return fresh ? { status: 202, body: { version: 4, kill_switch: "RUNNING", changed: true, acknowledged_version: 3 } } : refusal(403, "STEP_UP_NEEDED");
      return undefined;
    });
    renderDesk(
      <SessionGate>
        <KillSwitchControl />
      </SessionGate>,
      { status: { ...STATUS, kill_switch: "HALTED" }, me: as("admin", true) },
    );
    await userEvent.click(screen.getByTestId("kill-switch-resume"));
    await userEvent.type(screen.getByTestId("kill-switch-reason"), "mended");
    await userEvent.click(screen.getByTestId("kill-switch-confirm"));
    await userEvent.type(await screen.findByTestId("code-input"), "000000{Enter}");
    expect(await within(screen.getByTestId("code-prompt")).findByTestId("refusal")).toBeInTheDocument();
    await userEvent.type(screen.getByTestId("code-input"), "123456{Enter}");
    await waitFor(() => expect(screen.queryByTestId("code-prompt")).toBeNull());
    expect(await screen.findByTestId("kill-switch-pending")).toBeInTheDocument();
    expect(requests.map(({ path }) => path).filter((path) => path !== "/api/status")).toEqual(["/api/trading/kill-switch", "/api/auth/step-up", "/api/auth/step-up", "/api/trading/kill-switch"]);
  });
});

describe("accounts in the settings", () => {
  const SESSIONS = [{ id: 1, created: "2025-05-26T09:00:00Z", last_seen: "2025-05-26T10:00:00Z", expires: "2025-06-02T09:00:00Z", user_agent: "curl/8", current: false }];
  const USERS = [{ name: "grace", role: "operator", disabled: false, totp: true, password: true, created: "2025-05-26T09:00:00Z", last_seen: null, sessions: 0 }];
  const open = (tab: string, me = as("admin"), cache: (readonly [readonly unknown[], unknown])[] = []) => {
    window.history.replaceState(null, "", `/settings/?tab=${tab}`);
    return renderDesk(<SettingsView />, { status: STATUS, universe: [], me, cache: [[keys.sessions, SESSIONS], [keys.tokens, []], [keys.users, USERS], ...cache] });
  };

  it("sets up a second factor with a picture, and shows the recovery codes once", async () => {
    fakeNetwork((path) => {
      if (path === "/api/auth/totp") return { status: 200, body: { secret: "JBSW", uri: "otpauth://x", qr_svg: "<svg/>" } };
      if (path === "/api/auth/totp/confirm") return { status: 200, body: { ...as("admin", true), recovery_codes: ["1111-2222", "3333-4444"] } };
      return undefined;
    });
    open("account");
    await userEvent.click(screen.getByTestId("totp-start"));
    expect(await screen.findByTestId("totp-qr")).toHaveAttribute("src", "data:image/svg+xml,%3Csvg%2F%3E");
    await userEvent.type(screen.getByTestId("totp-confirm-code"), "123456");
    await userEvent.click(screen.getByTestId("totp-confirm"));
    expect(await screen.findByTestId("totp-recovery")).toHaveTextContent("1111-2222");
    expect(screen.getByTestId("totp-remove")).toBeInTheDocument();
  });

  it("ends sessions, makes a token that is shown once, and offers no role above one's own", async () => {
    const requests = fakeNetwork((path) => (path === "/api/auth/tokens" ? { status: 200, body: { id: 1, name: "report", token: "pp_abc" } } : { status: 200, body: [] }));
    open("account", as("operator"));
    await userEvent.click(screen.getByTestId("session-end-1"));
    await waitFor(() => expect(requests[0]).toMatchObject({ path: "/api/auth/sessions/1/end", method: "POST" }));
    await userEvent.click(screen.getByTestId("token-make"));
    await userEvent.type(screen.getByTestId("token-name"), "report");
    expect(within(screen.getByTestId("token-role")).getAllByRole("option")).toHaveLength(2);
    await userEvent.click(screen.getByTestId("token-make-confirm"));
    expect(await screen.findByTestId("token-once")).toHaveTextContent("pp_abc");
    expect(requests.find(({ path, method }) => path === "/api/auth/tokens" && method === "POST")!.body).toEqual({ name: "report", role: "viewer", scopes: ["read"], days: 90 });
  });

  it("lets an administrator make and change users, and says when that is refused", async () => {
    const requests = fakeNetwork((path, init) => {
      if (init.method !== "POST") return { status: 200, body: USERS };
      return path === "/api/users" ? { status: 200, body: { ...USERS[0], link: "http://127.0.0.1/login#link=x" } } : refusal(409, "LAST_ADMIN");
    });
    open("users");
    await userEvent.click(screen.getByTestId("user-make"));
    await userEvent.type(screen.getByTestId("user-make-name"), "emmy");
    await userEvent.click(screen.getByTestId("user-make-confirm"));
    expect(await screen.findByTestId("user-link-once")).toHaveTextContent("#link=x");
    expect(requests[0]).toEqual({ path: "/api/users", method: "POST", body: { name: "emmy", role: "viewer" } });
    await userEvent.click(screen.getByTestId("user-disable-grace"));
    await userEvent.click(screen.getByTestId("user-disable-grace-confirm"));
    expect(await screen.findByTestId("refusal")).toHaveTextContent("LAST_ADMIN");
  });

  it("shows the audit log, whether its chain is whole, and more of it", async () => {
    const entry = (seq: number) => ({ seq, ts: "2025-05-26T10:00:00Z", actor: "ada", action: "settings", target: "settings", before: { MAX_POSITIONS: 6 }, after: { MAX_POSITIONS: 5 }, reason: "weekend" });
    const page = (seq: number, next: string | null) => ({ items: [entry(seq)], next_cursor: next, chain: { ok: false, first_broken: 7 } });
    fakeNetwork((path) => (path.includes("cursor=") ? { status: 200, body: page(1, null) } : undefined));
    open("audit", as("admin"), [[keys.audit, { pages: [page(9, "c1")], pageParams: [null] }]]);
    expect(screen.getByTestId("audit-row-9")).toHaveTextContent('ada settingssettings{"MAX_POSITIONS":6} → {"MAX_POSITIONS":5}weekend'.replace("ada ", "ada"));
    expect(screen.getByTestId("audit-chain")).toHaveTextContent("chain broken at 7");
    await userEvent.click(screen.getByTestId("audit-more"));
    expect(await screen.findByTestId("audit-row-1")).toBeInTheDocument();
    expect(screen.queryByTestId("audit-more")).toBeNull();
  });

  it("asks the API for nothing that only an administrator may see", () => {
    const requests = fakeNetwork(() => undefined);
    open("audit", as("operator"));
    expect(screen.getByTestId("admin-only")).toHaveTextContent("Needs the role admin");
    act(() => undefined);
    expect(requests).toEqual([]);
  });
});

describe("a new state of the session", () => {
  it("is not overtaken by an answer that was asked for before it", async () => {
    let answer: (response: Response) => void = () => undefined;
    vi.stubGlobal("fetch", (_: string, { signal }: RequestInit) =>
      new Promise((resolve, reject) => {
        answer = resolve;
        signal?.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
      }),
    );
    const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
    const asked = client.fetchQuery(meQuery).catch(() => undefined);
    await vi.waitFor(() => expect(client.isFetching()).toBe(1));
    takeMe(client, OUT);
    answer(new Response(JSON.stringify(ADMIN)));
    await asked;
    expect(client.getQueryData<typeof ADMIN>(keys.me)?.signed_in).toBe(false);
    expect(door).toMatchObject({ signedOut: true, csrf: null });
  });
});
