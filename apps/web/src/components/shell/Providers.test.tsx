import { render, screen } from "@testing-library/react";
import { StrictMode } from "react";
import { describe, expect, it } from "vitest";
import { fakeNetwork } from "@/testing/render";
import { Providers } from "./Providers";

const SIGNED_OUT = { signed_in: false, user: null, step_up_until: null, csrf: null, demo: false, first_use: false };

describe("Providers", () => {
  it("asks once who is signed in, however often React begins to render the page", async () => {
    const requests = fakeNetwork(() => ({ status: 200, body: SIGNED_OUT }));
    let attempts = 0;
    let here: ((value: undefined) => void) | undefined;
    const soon = new Promise<undefined>((resolve) => (here = resolve));
    function Page() {
      attempts += 1;
      if (attempts < 3) throw soon; // part of the page has not come yet: React gives this attempt up
      return <p>page</p>;
    }
    const page = (
      <StrictMode>
        <Providers>
          <Page />
        </Providers>
      </StrictMode>
    );
    const { unmount } = render(page);
    here?.(undefined);
    expect(await screen.findByText("page")).toBeInTheDocument();
    unmount();
    render(page);
    expect(await screen.findByText("page")).toBeInTheDocument();
    expect(requests.filter(({ path }) => path === "/api/auth/me")).toHaveLength(1);
  });
});
