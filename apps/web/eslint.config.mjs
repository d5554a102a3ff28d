import { defineConfig, globalIgnores } from "eslint/config";
import nextVitals from "eslint-config-next/core-web-vitals";
import nextTs from "eslint-config-next/typescript";

const word = "[\\p{L}]{2,}"; // two letters in a row: a word somebody has to translate
const notKey = "^(?![a-z_]+(\\.[a-zA-Z_0-9]+)+$)"; // a key of the catalogues is no text

export default defineConfig([
  ...nextVitals,
  ...nextTs,
  globalIgnores([".next/**", "out/**", "next-env.d.ts", "src/generated/**"]),
  {
    files: ["src/**/*.{ts,tsx}"],
    settings: { "import/resolver": { typescript: { project: "./tsconfig.json" }, node: true } },
    rules: {
      // lib, ui → components → app: what is below knows nothing of what is above.
      "import/no-restricted-paths": [
        "error",
        {
          zones: [
            { target: "./src/lib", from: "./src/components", message: "lib knows no component" },
            { target: "./src/lib", from: "./src/app", message: "lib knows no page" },
            { target: "./src/components", from: "./src/app", message: "components know no page" },
            {
              target: "./src/components/ui",
              from: ["./src/components/cards", "./src/components/charts", "./src/components/panels", "./src/components/tables", "./src/components/shell"],
              message: "ui is the bottom layer of components",
            },
            { target: "./src/components/ui", from: ["./src/lib/api", "./src/lib/queries", "./src/lib/ws"], message: "ui knows no data" },
            { target: ["./src/components/cards", "./src/components/charts", "./src/components/panels", "./src/components/tables"], from: "./src/components/shell", message: "the shell holds the views, not the other way round" },
          ],
        },
      ],
      "import/no-cycle": ["error", { maxDepth: 6 }],
      "@typescript-eslint/consistent-type-imports": "error",
      "@typescript-eslint/no-explicit-any": "error",
    },
  },
  {
    files: ["src/components/**/*.tsx", "src/app/**/*.tsx"],
    ignores: ["**/*.test.tsx"],
    rules: {
      // Words come from the catalogues (D34); numbers are formatted in lib/format only.
      "no-restricted-syntax": [
        "error",
        { selector: `JSXText[value=/${word}/u]`, message: "A string in a component: put it into the message catalogues." },
        { selector: `JSXAttribute[name.name=/^(title|placeholder|alt|label|aria-label)$/] > Literal[value=/${notKey}.*${word}/u]`, message: "A string in a component: put it into the message catalogues." },
        { selector: "CallExpression[callee.property.name=/^(toLocaleString|toFixed|toLocaleTimeString|toLocaleDateString)$/]", message: "Numbers and times are formatted in lib/format." },
      ],
    },
  },
]);
