// @vitest-environment node
import { describe, expect, it } from "vitest";
import { externalise } from "./externalise-inline.mjs";

const url = () => "/_next/static/inline/x.js";

describe("externalise", () => {
  it("joins inline scripts in order at the place of the last", () => {
    const { html, script } = externalise('<head><script src="/a.js" async=""></script></head><body><script>one()</script><p>hi</p><script id="_R_">two();</script></body>', url);
    expect(script).toBe("one();\ntwo();");
    expect(html).toBe('<head><script src="/a.js" async=""></script></head><body><p>hi</p><script src="/_next/static/inline/x.js"></script></body>');
  });

  it("leaves data blocks and pages without scripts alone", () => {
    const data = '<script type="application/json">{"a":1}</script>';
    expect(externalise(data, url)).toEqual({ html: data, script: null });
    expect(externalise(`${data}<script>x()</script>`, url).html).toBe(`${data}<script src="/_next/static/inline/x.js"></script>`);
  });

  it("keeps a dollar sign of the page as it is", () => {
    expect(externalise("<p>$&</p><script>a('$1')</script>", url)).toEqual({ html: '<p>$&</p><script src="/_next/static/inline/x.js"></script>', script: "a('$1');" });
  });
});
