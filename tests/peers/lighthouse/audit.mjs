// Lighthouse's audit of pages of the console, by somebody who has signed in: node audit.mjs URL TOKEN CATEGORIES PAGE…
// Prints {page: {category: score, failed: [audit: where]}} as JSON; a score is 0 to 100.
import lighthouse from "lighthouse";
import puppeteer from "puppeteer-core";

// How it says that it waited in vain, half a minute for each of the browser's answers or for its first paint: too short on a machine that has much else to do.
const SLOW = ["PROTOCOL_TIMEOUT", "PAGE_HUNG", "NO_FCP"];
const [url, token, categories, ...pages] = process.argv.slice(2);
const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-gpu"], protocolTimeout: 0 });
// an audit that was given up may still wait for its tab, which is closed
process.on("unhandledRejection", (reason) => {
  if (!/(Session|Target) closed/.test(String(reason))) throw reason;
});

async function audited(name) {
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  await page.goto(`${url}/console/`);
  await page.type("input[type=password]", token);
  await page.click("button[type=submit]");
  await page.waitForSelector("nav#nav");
  // Lighthouse loads the page anew; what the tab keeps in its sessionStorage stays
  const flags = { onlyCategories: categories.split(","), disableStorageReset: true, formFactor: "desktop", screenEmulation: { disabled: true }, throttlingMethod: "provided" };
  const { lhr } = await lighthouse(`${url}/console/?audit#/${name}`, flags, undefined, page);
  await page.close();
  return lhr;
}

try {
  const said = {};
  for (const name of pages) {
    let lhr = await audited(name);
    for (let turn = 0; turn < 9 && SLOW.includes(lhr.runtimeError?.code); turn += 1) lhr = await audited(name);
    if (lhr.runtimeError) throw new Error(`${name}: ${lhr.runtimeError.message}`);
    const scores = Object.fromEntries(Object.entries(lhr.categories).map(([category, found]) => [category, Math.round(100 * found.score)]));
    const weighed = new Set(Object.values(lhr.categories).flatMap((each) => each.auditRefs.filter((ref) => ref.weight > 0).map((ref) => ref.id)));
    const failed = Object.values(lhr.audits)
      .filter((each) => weighed.has(each.id) && each.score !== null && each.score < 1)
      .map((each) => `${each.id}: ${each.title} ${JSON.stringify(each.details?.items ?? []).slice(0, 600)}`);
    said[name] = { shown: lhr.finalDisplayedUrl, ...scores, failed };
    console.error(name, JSON.stringify(scores));
  }
  console.log(JSON.stringify(said));
} finally {
  await browser.close();
}
