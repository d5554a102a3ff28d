// Every page and tab of the built desk over the stand-in API, in every look: node scripts/check-a11y.mjs URL [PICTURES]
// [--only=name,name]. Fails where a card has no data, axe finds something or a page is wider than the screen.
import { LOOKS } from "./browser.mjs";
import { look, pagesOf, Person } from "./desk-steps.mjs";

const [base = "http://127.0.0.1:8010", pictures] = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const only = process.argv.find((word) => word.startsWith("--only="))?.split("=")[1].split(",");
const problems = [];
const person = await Person.at(base, { problems, pictures });
try {
  await person.go("dashboard/");
  const [newest, other] = await person.page.evaluate(async () => (await (await fetch("/api/models")).json()).map(({ model_id }) => model_id));
  // The stand-in also has what a fresh desk has not: two models to compare, a job that runs.
  const pages = [...pagesOf(newest), ["comparison", `training/?compare=${newest},${other}`], ["job", "training/?job=b"], ...["positions", "open", "conditional", "fills", "funding", "intents", "attribution"].map((tab) => [`orders-${tab}`, `orders/?tab=${tab}`])];
  for (const name of Object.keys(LOOKS)) problems.push(...(await look(person, name, pages.filter(([page]) => only?.includes(page) ?? true))));
} finally {
  await person.close();
}
for (const problem of problems) console.log(`FAIL ${problem}`);
if (problems.length === 0) console.log("ok  every page in every look");
process.exitCode = problems.length === 0 ? 0 : 1;
