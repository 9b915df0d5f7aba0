// The script of pages with tests: shows the tests that ran a line, or that entered a function, when they are asked for.
"use strict";
(() => {
  const { short, exact } = globalThis.instrument;
  const PHASES = ["setup", "call", "teardown"];
  // Tests that are shown at first, and that a button adds.
  const N_SHOWN = 50;

  // -- numbers: instrument.report.html.packed_tests has packed them -------------------------------------------------
  // The texts of scripts that were loaded, by the names of their files.
  const texts = new Map();
  globalThis.instrument.addTests = (name, text) => texts.set(name, text);

  // Return the text called `name`: it is in an element of a single file, or in a script beside a page of a folder.
  function text(name) {
    const element = document.getElementById(name);
    if (element) return Promise.resolve(element.textContent);
    if (texts.has(name)) return Promise.resolve(texts.get(name));
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = name;
      script.onload = () => (texts.has(name) ? resolve(texts.get(name)) : reject(new Error(`The file ${name} is damaged.`)));
      script.onerror = () => reject(new Error(`The file ${name} cannot be read. It must be beside this page.`));
      document.head.append(script);
    });
  }

  async function unzipped(name) {
    const packed = await text(name);
    try {
      const letters = atob(packed);
      const bytes = new Uint8Array(letters.length);
      for (let n = 0; n < letters.length; n++) bytes[n] = letters.charCodeAt(n);
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
      return new Uint8Array(await new Response(stream).arrayBuffer());
    } catch {
      throw new Error(`The file ${name} is damaged.`);
    }
  }

  class Numbers {
    constructor(bytes) {
      this.bytes = bytes;
      this.at = 0;
    }

    // Return the next number, a BigInt if it has more than 49 bits.
    next() {
      const start = this.at;
      let value = 0;
      let scale = 1;
      for (;;) {
        const byte = this.bytes[this.at++];
        value += (byte & 127) * scale;
        if (byte < 128) break;
        scale *= 128;
      }
      return this.at - start <= 7 ? value : this.large(start);
    }

    large(start) {
      let value = 0n;
      for (let at = this.at - 1; at >= start; at--) value = (value << 7n) | BigInt(this.bytes[at] & 127);
      return value;
    }

    // Return the next `n` numbers, each of which is given as the difference to the one before.
    sums(n) {
      const sums = new Array(n);
      for (let i = 0, sum = 0; i < n; i++) sums[i] = sum += this.next();
      return sums;
    }

    list(n) { return Array.from({ length: n }, () => this.next()); }

    text(length) {
      this.at += length;
      return new TextDecoder().decode(this.bytes.subarray(this.at - length, this.at));
    }
  }

  function functionsIn(bytes) {
    const numbers = new Numbers(bytes);
    const functions = [];
    while (numbers.at < bytes.length) {
      const name = numbers.text(numbers.next());
      const line = numbers.next();
      const lines = numbers.sums(numbers.next());
      const patterns = Array.from({ length: numbers.next() }, () => (
        { entered: numbers.next(), counts: numbers.list(lines.length), n: numbers.next(), contexts: null }
      ));
      for (const pattern of patterns) pattern.contexts = numbers.sums(pattern.n);
      functions.push({ name, line, lines, patterns });
    }
    return functions;
  }

  let names = null; // of all tests
  const kept = { name: "", functions: [] }; // the numbers of the last file

  async function numbersOf(main) {
    names ??= JSON.parse(new TextDecoder().decode(await unzipped(main.dataset.names)));
    const { tests } = main.dataset;
    if (kept.name !== tests) {
      kept.functions = functionsIn(await unzipped(tests));
      kept.name = tests;
    }
    return kept.functions;
  }

  // Return the tests that ran `place`, ranked, and the contexts outside of tests: counts, names and counts of phases.
  function ranking(functions, place) {
    const sums = new Map();
    for (const each of functions) {
      const at = place.name === undefined ? each.lines.indexOf(place.line) : -1;
      const isEntered = place.name === each.name && place.line === each.line;
      if (at < 0 && !isEntered) continue;
      for (const { entered, counts, contexts } of each.patterns) {
        const count = BigInt(isEntered ? entered : counts[at]);
        if (count) for (const context of contexts) sums.set(context, (sums.get(context) || 0n) + count);
      }
    }
    const n = names.tests.length;
    const tests = new Map();
    const others = [];
    for (const [context, count] of [...sums].sort((a, b) => a[0] - b[0])) {
      const name = names.others[context - PHASES.length * n];
      if (name !== undefined) {
        others.push({ name, count, phases: [] });
        continue;
      }
      const test = tests.get(context % n) || { name: names.tests[context % n], number: context % n, count: 0n, phases: [] };
      test.count += count;
      test.phases.push([PHASES[Math.floor(context / n)], count]);
      tests.set(test.number, test);
    }
    const order = (a, b) => (a.count > b.count ? -1 : a.count < b.count ? 1 : a.number - b.number);
    return { tests: [...tests.values()].sort(order), others: others.sort((a, b) => (a.count > b.count ? -1 : a.count < b.count ? 1 : 0)) };
  }

  // -- the panel ----------------------------------------------------------------------------------------------------
  // Names are always texts of nodes: no markup in them is read.
  function made(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function button(label, action, attributes = {}) {
    const element = made("button", { type: "button", ...attributes }, label);
    element.addEventListener("click", action);
    return element;
  }

  function row({ name, count, phases }) {
    const remark = phases.some(([phase]) => phase !== "call") ? phases.map(([phase, n]) => `${phase} ${exact(n)}`).join(", ") : "";
    return made("tr", {},
      made("td", { title: exact(count) }, short(count)),
      made("td", { class: "test" }, made("bdi", {}, name), ...(remark ? [" ", made("small", {}, remark)] : [])));
  }

  // Return a table of the first of `rows`, with buttons for more.
  function listed(rows) {
    const body = made("tbody");
    const buttons = made("p", { class: "more" });
    const add = (n) => {
      const hadFocus = buttons.contains(document.activeElement);
      const before = body.rows.length;
      body.append(...rows.slice(before, before + n).map(row));
      const more = rows.length - body.rows.length;
      buttons.replaceChildren();
      if (more > N_SHOWN) buttons.append(button(`${N_SHOWN} more`, () => add(N_SHOWN)), " ");
      if (more > 0) buttons.append(button(`all ${exact(rows.length)}`, () => add(rows.length)));
      if (hadFocus) (buttons.querySelector("button") || panel).focus({ preventScroll: true });
    };
    add(N_SHOWN);
    return [made("table", {}, body), buttons];
  }

  let panel = null;
  let open = null; // the place whose tests are shown
  let opener = null; // gets the focus back
  let nAsked = 0;

  function shown(place, children) {
    const self = made("a", { class: "self", href: place.address, title: "Link to this list" }, made("span", { class: "place" }, place.title));
    const close = button("✕", hide, { class: "close", title: "Close (Esc)", "aria-label": "Close" });
    panel.replaceChildren(made("header", {}, made("h2", { id: "tests-title" }, self), close), ...children);
  }

  function filled(place, { tests, others }) {
    const all = [...tests, ...others].reduce((sum, each) => sum + each.count, 0n);
    const times = (rows) => {
      const sum = rows.reduce((total, each) => total + each.count, 0n);
      return `${exact(sum)} ${sum === 1n ? "time" : "times"}`;
    };
    const verb = place.name === undefined ? "ran this line" : "entered this function";
    const said = tests.length
      ? `${exact(tests.length)} of ${exact(names.tests.length)} tests ${verb}, ${times(tests)}.`
      : `No test ${verb}.`;
    const parts = [made("p", { class: "facts" }, said)];
    const isOfExecutions = place.main.querySelector(".listing").dataset.unit === "executions";
    if (place.count !== undefined && isOfExecutions && all !== BigInt(place.count)) {
      parts.push(made("p", { class: "facts" }, `Counts of tests are line events, as the module trace counts them: ${exact(all)} in all.`));
    }
    if (place.name !== undefined) parts.push(made("p", { class: "facts" }, "A generator is entered each time that it goes on."));
    const list = made("div", { class: "list" }, ...listed(tests));
    let field = null;
    if (tests.length > N_SHOWN) {
      const found = made("output", { "aria-live": "polite" });
      field = made("input", { type: "search", placeholder: "words of the name", autocomplete: "off", spellcheck: "false" });
      field.addEventListener("input", () => {
        const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
        const chosen = tests.filter((test) => words.every((word) => test.name.toLowerCase().includes(word)));
        list.replaceChildren(...listed(chosen));
        found.textContent = words.length ? `${exact(chosen.length)} of ${exact(tests.length)} tests, ${times(chosen)}` : "";
      });
      parts.push(made("p", { class: "tools" }, made("label", {}, "Filter ", field), found));
    }
    parts.push(list);
    if (others.length) parts.push(made("h3", {}, "Outside of tests"), made("div", { class: "others" }, ...listed(others)));
    shown(place, parts);
    return field;
  }

  async function show(place, from) {
    if (!panel) {
      panel = made("dialog", { id: "tests", tabindex: "-1", "aria-labelledby": "tests-title" });
      document.body.append(panel);
    }
    open = place;
    opener = from || opener;
    history.replaceState(null, "", place.address);
    const asked = ++nAsked;
    shown(place, [made("p", { class: "facts", role: "status" }, "The counts of tests are read.")]);
    if (!panel.open) panel.show();
    let field = null;
    try {
      const functions = await numbersOf(place.main);
      if (asked !== nAsked) return;
      field = filled(place, ranking(functions, place));
    } catch (error) {
      if (asked !== nAsked) return;
      shown(place, [made("p", { class: "notice", role: "alert" }, error.message)]);
    }
    panel.scrollTop = 0;
    (field || panel.querySelector(".close")).focus({ preventScroll: true });
  }

  function hide() {
    if (!open) return;
    nAsked++;
    const { line } = open;
    const address = open.address.replace(/:(tests|entered)(:.*)?$/, "");
    if (location.hash === open.address || decoded(location.hash) === decoded(open.address)) history.replaceState(null, "", address);
    open = null;
    panel.close();
    const back = opener?.isConnected ? opener : document.querySelector(`main:not([hidden]) #L${line} .n`);
    opener = null;
    back?.focus({ preventScroll: true });
  }

  // -- places -------------------------------------------------------------------------------------------------------
  const page = () => document.querySelector("main[data-tests]:not([hidden])");

  function decoded(part) {
    try { return decodeURIComponent(part); } catch { return part; }
  }

  // Return the place of the element `line`, undefined if it did not run or if its tests are not known.
  function placeOfLine(line) {
    const main = line?.closest("main[data-tests]");
    const count = line?.dataset.count;
    if (!main || count === undefined) return undefined;
    const address = `${line.querySelector(".n").getAttribute("href")}:tests`;
    return { main, line: Number(line.id.slice(1)), count, address, title: `Line ${line.id.slice(1)}` };
  }

  // Return the place of the function in the table row `tr`. The index leads to the page of the function's file.
  function placeOfFunction(tr) {
    const link = tr?.querySelector(".name a");
    if (!link) return undefined;
    const name = tr.dataset.function;
    const main = tr.closest("main");
    return { main, line: Number(tr.dataset.line), name, address: `${link.getAttribute("href")}:entered:${encodeURIComponent(name)}`, title: name };
  }

  function go(place, from) {
    if (!place) return;
    if (place.main.classList.contains("index")) location.href = place.address;
    else if (open?.address === place.address) hide();
    else if (place.main.dataset.tests) show(place, from);
  }

  function mark(line) {
    document.querySelector("main:not([hidden]) .l.current")?.classList.remove("current");
    line.classList.add("current");
  }

  // Open the list that the address of this page names, or close the list that it no longer names.
  function route() {
    const parts = location.hash.slice(1).split(":");
    if (document.getElementById("page")) parts.shift();
    const [id, kind, ...name] = parts.map(decoded);
    const main = page();
    const line = main && /^L\d+$/.test(id) ? main.querySelector(`#${id}`) : null;
    let place;
    if (line && kind === "tests") place = placeOfLine(line);
    if (main && kind === "entered") {
      const rows = [...main.querySelectorAll("tr[data-function]")];
      place = placeOfFunction(rows.find((tr) => `L${tr.dataset.line}` === id && tr.dataset.function === name.join(":")));
    }
    if (!place) {
      if (open) { opener = null; closeWithoutFocus(); }
      return;
    }
    if (open?.address === place.address && open.main === place.main) return;
    if (line) {
      mark(line);
      line.scrollIntoView({ block: innerWidth < 800 ? "start" : "center" });
    }
    show(place, line?.querySelector(".n"));
  }

  function closeWithoutFocus() {
    nAsked++;
    open = null;
    panel.close();
  }

  // -- keys and clicks ----------------------------------------------------------------------------------------------
  // Return the place of a count: of a line, or of the calls of a function.
  function placeOf(element) {
    if (element.matches("td.calls")) return placeOfFunction(element.closest("tr"));
    return element.matches(".l > .c") ? placeOfLine(element.closest(".l")) : undefined;
  }

  document.addEventListener("click", (event) => {
    const count = event.target.closest("td.calls, .l > .c");
    const place = count && placeOf(count);
    if (!place) return;
    if (place.name === undefined) mark(count.closest(".l"));
    go(place, count.hasAttribute("tabindex") ? count : null);
  });

  // A count can be reached by keys as soon as its line or its function has the focus: otherwise a page of 10,000 lines
  // would have twice as many stops, and be larger.
  document.addEventListener("focusin", (event) => {
    const holder = event.target.closest("main[data-tests] .l, main[data-tests] tr[data-function], main.index tr[data-function]");
    const count = holder?.querySelector(":scope > .c, td.calls");
    if (!count || !placeOf(count)) return;
    count.setAttribute("tabindex", "0");
    count.setAttribute("aria-haspopup", "dialog");
    if (!count.matches("td")) count.setAttribute("role", "button"); // a cell stays one
  });

  // This listener comes before that of report.js, whose keys and filter are others.
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.getElementById("keys")?.open) return;
    const { key, target } = event;
    const taken = () => { event.preventDefault(); event.stopPropagation(); };
    if (open && key === "Escape") {
      taken();
      hide();
    } else if (panel?.contains(target) && target.matches("input")) {
      event.stopPropagation();
    } else if ((key === "Enter" || key === " ") && target.matches?.("td.calls, .l > .c")) {
      taken();
      target.click();
    } else if (key === "w" && !target.matches?.("input")) {
      const tr = target.closest?.("tr[data-function]");
      const line = target.closest?.(".l") || document.querySelector("main:not([hidden]) .l.current");
      const place = tr ? placeOfFunction(tr) : placeOfLine(line);
      if (place) {
        taken();
        go(place, panel?.contains(target) ? null : target);
      }
    }
  }, true);

  document.addEventListener("DOMContentLoaded", () => {
    route();
    addEventListener("hashchange", route);
  });
})();
