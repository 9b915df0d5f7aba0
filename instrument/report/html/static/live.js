// The script of live pages: it fetches the numbers that have changed each second, and writes them into the page.
"use strict";
(() => {
  const PAUSE = 1000; // milliseconds between two requests
  const STALE = 5; // seconds after which the age of the numbers is a notice
  const WAIT = 10_000; // milliseconds for one answer
  const { short, exact, sortAgain, renewTree } = globalThis.instrument;
  const byId = (id) => document.getElementById(id);
  const shortOf = (digits) => short(BigInt(digits));
  const rateText = (rate) => (rate >= 10 ? shortOf(Math.round(rate)) : rate.toFixed(1));
  let sample = 0; // the number of the sample that the page shows
  let lastAnswer = performance.now();

  // -- notices ------------------------------------------------------------------------------------------------------
  const ageText = (seconds) => (seconds < 120 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`);

  function notify(texts) {
    const list = byId("notices");
    if (!list) return;
    if ([...list.children].map((li) => li.textContent).join("\n") !== texts.join("\n")) {
      list.replaceChildren(...texts.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
    }
    list.hidden = !texts.length;
  }

  function showState(answer) {
    const running = answer.running === 1 ? "1 process runs" : `${answer.running} processes run`;
    byId("state").textContent = answer.reason || `${running}. Numbers of ${ageText(answer.age)} ago, read every ${ageText(answer.pause)}.`;
    const texts = [...answer.notices];
    if (answer.is_final) texts.unshift("All processes have ended. These numbers are final.");
    else if (answer.age > Math.max(STALE, 3 * answer.pause)) texts.unshift(`The numbers are old: they were read ${ageText(answer.age)} ago.`);
    notify(texts);
  }

  // -- rates --------------------------------------------------------------------------------------------------------
  function rateRow([address, place, text, rate, total], series) {
    const tr = document.createElement("tr");
    const [rateCell, totalCell, nameCell] = [tr.insertCell(), tr.insertCell(), tr.insertCell()];
    rateCell.textContent = rateText(rate);
    rateCell.dataset.rate = rate;
    totalCell.textContent = shortOf(total);
    totalCell.title = exact(total);
    totalCell.dataset.count = total;
    nameCell.className = "name";
    if (series >= 0) nameCell.append(Object.assign(document.createElement("i"), { className: `key s${series}` }));
    const link = Object.assign(document.createElement("a"), { textContent: place });
    link.setAttribute("href", address);
    nameCell.append(link, " ", Object.assign(document.createElement("code"), { textContent: text }));
    return tr;
  }

  function showRates(rates) {
    const series = new Map(rates.plot.series.map(({ key }, n) => [key, n]));
    const rows = rates.functions.map((row) => rateRow(row, series.get(`${row[0]} ${row[2]}`) ?? -1));
    byId("function-rates").tBodies[0].replaceChildren(...rows);
    byId("line-rates").tBodies[0].replaceChildren(...rates.lines.map((row) => rateRow(row, -1)));
    showPlot(rates.plot);
  }

  function showPlot({ seconds, series }) {
    const svg = document.querySelector("#plot svg");
    const greatest = Math.max(1, ...series.flatMap((each) => each.rates));
    const oldest = Math.min(-1, ...seconds);
    const lines = series.map(({ rates }, n) => {
      const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
      const points = rates.map((rate, at) => `${(600 * (1 - seconds[at] / oldest)).toFixed(1)},${(146 - (142 * rate) / greatest).toFixed(1)}`);
      line.setAttribute("points", points.join(" "));
      line.setAttribute("class", `s${n}`);
      return line;
    });
    svg.replaceChildren(...lines);
    byId("greatest").textContent = series.length ? `(up to ${rateText(greatest)})` : "(none)";
    byId("oldest").textContent = `${ageText(-oldest)} ago`;
  }

  // -- numbers ------------------------------------------------------------------------------------------------------
  function put(element, digits, prefix = "") {
    const text = `${prefix}${shortOf(digits)}`;
    if (element.textContent !== text) element.textContent = text;
    element.title = exact(digits);
  }

  function showTiles(numbers, ran) {
    for (const tile of document.querySelectorAll(".tiles [data-total]")) {
      const digits = numbers[tile.dataset.total];
      const isLong = ["hits", "hottest", "cost"].includes(tile.dataset.total);
      tile.textContent = isLong ? shortOf(digits) : exact(digits);
      if (isLong) tile.parentNode.title = exact(digits);
    }
    const part = document.querySelector(".tiles li:has(.part)");
    if (part) {
      part.querySelector("b").textContent = ran.text;
      part.querySelector(".part > i").className = `w${ran.twentieths}`;
    }
  }

  // Write the functions into their table: new ones get a row, and rows of others are removed.
  function showFunctions(functions) {
    const table = document.querySelector("table.functions");
    if (!table || !functions.length) return functions.length === 0;
    const body = table.tBodies[0];
    const keys = [...table.tHead.rows[0].cells].map((th) => th.dataset.key);
    const rows = new Map([...body.rows].map((tr) => [`${tr.cells[0].querySelector("a").getAttribute("href")} ${tr.dataset.function}`, tr]));
    const kept = functions.map((values) => {
      const key = `${values.address} ${values.name}`;
      let tr = rows.get(key);
      if (!tr) {
        tr = body.rows[0].cloneNode(true);
        tr.dataset.function = values.name;
        tr.dataset.line = values.line;
        tr.className = "";
        const [name, file] = tr.cells;
        name.dataset.v = values.name;
        const link = Object.assign(document.createElement("a"), { textContent: values.name });
        link.setAttribute("href", values.address);
        const small = Object.assign(document.createElement("small"), { textContent: values.kind });
        name.replaceChildren(link, ...(values.kind === "function" ? [] : [" ", small]));
        if (keys[1] === "file") {
          file.dataset.v = values.label;
          const fileLink = Object.assign(document.createElement("a"), { textContent: values.label });
          fileLink.setAttribute("href", values.address.split("#")[0]);
          file.replaceChildren(fileLink, `:${values.line}`);
        }
      }
      keys.forEach((column, at) => {
        if (column === "name" || column === "file") return;
        const digits = values.numbers[column];
        const cell = tr.cells[at];
        cell.dataset.v = digits ?? "-1";
        if (digits === null) cell.textContent = column === "calls" ? "?" : "-";
        else put(cell, digits);
      });
      tr.classList.toggle("m", values.numbers.calls === "0");
      return tr;
    });
    body.replaceChildren(...kept);
    sortAgain(table);
    return true;
  }

  // Write the numbers of the index; return false if the page has other files.
  function showIndex(answer) {
    const table = document.querySelector("table.tree");
    const keys = [...table.tHead.rows[0].cells].map((th) => th.dataset.key);
    const rows = [...table.tBodies[0].rows];
    const byLabel = new Map(rows.map((tr) => [`${tr.classList.contains("folder")} ${tr.dataset.label}`, tr]));
    if (keys.includes("ways") !== answer.has_flow || rows.length !== answer.rows.length) return false;
    if (answer.rows.some((row) => !byLabel.has(`${row.is_folder} ${row.label}`))) return false;
    for (const row of answer.rows) {
      const { cells } = byLabel.get(`${row.is_folder} ${row.label}`);
      keys.forEach((key, at) => {
        const cell = cells[at];
        if (key === "name") return;
        if (key === "ran") {
          if (!row.is_known) { cell.textContent = "-"; return; }
          if (!cell.querySelector(".part")) return;
          cell.firstChild.data = `${row.ran.text} `;
          cell.querySelector(".part > i").className = `w${row.ran.twentieths}`;
          return;
        }
        const digits = row.numbers[key];
        cell.dataset.v = digits;
        const isFlow = ["ways", "missing_ways", "cost"].includes(key);
        const isKnown = key === "lines" || key === "missing" ? row.is_known : !isFlow || row.has_flow;
        if (key === "hottest") {
          cell.title = exact(digits);
          const link = document.createElement("a");
          link.setAttribute("href", row.hottest_address);
          link.textContent = row.hottest_line;
          cell.replaceChildren(...(row.hottest_line ? [link, ": "] : []), shortOf(digits));
        } else if (!isKnown) cell.textContent = "-";
        else if (key === "hits" || key === "cost") put(cell, digits);
        else cell.textContent = exact(digits);
        if (key.startsWith("missing")) cell.className = digits === "0" ? "" : "some";
      });
    }
    renewTree();
    return true;
  }

  function showSide(element, digits, text) {
    element.classList.toggle("x", digits === "0");
    element.title = text ? `${text}: ${exact(digits)}` : exact(digits);
  }

  // Write the numbers of one line; return false if the page has another line or other ways in its place.
  function showLine([number, state, times, heat, cost, ways, conditions]) {
    const line = byId(`L${number}`);
    if (!line) return false;
    const isCurrent = line.classList.contains("current");
    line.className = `l ${state}${isCurrent ? " current" : ""}`;
    const count = line.querySelector(":scope > .c");
    if (times === null) {
      delete line.dataset.count;
      count.className = "c";
      count.removeAttribute("title");
      count.textContent = state === "m" ? "0" : "";
    } else {
      line.dataset.count = times;
      count.className = `c h${heat}`;
      put(count, times);
    }
    const instructions = line.querySelector(":scope > .i");
    if (cost !== null && cost !== "0") {
      if (!instructions) return false;
      put(instructions, cost);
      instructions.title += " instructions";
      instructions.dataset.cost = cost;
    }
    const links = [...line.querySelectorAll(".way")];
    if (links.map((link) => link.dataset.target).join() !== ways.map(([target]) => target).join()) return false;
    ways.forEach(([target, taken], n) => {
      const link = links[n];
      link.dataset.count = taken;
      showSide(link, taken, target ? `to line ${target}` : "by a return");
      link.textContent = `${taken === "0" ? "✗ " : ""}→ ${target || "return"}: ${shortOf(taken)}`;
    });
    const sides = [...line.querySelectorAll(".conditions .side")];
    if (sides.length && sides.length !== 2 * conditions.length) return false;
    sides.forEach((side, n) => {
      const digits = conditions[n >> 1][n & 1];
      const number_ = side.querySelector("[data-count]");
      number_.dataset.count = digits;
      number_.textContent = shortOf(digits);
      showSide(side, digits, "");
      const isGap = digits === "0" && side.dataset.optional === undefined;
      side.classList.toggle("x", isGap);
      side.firstChild.data = `${isGap ? "✗ " : ""}${side.firstChild.data.replace(/^✗ /, "")}`;
    });
    const summary = line.querySelector(".conditions > summary");
    if (summary) summary.textContent = `${summary.textContent.replace(/ ✗$/, "")}${sides.some((side) => side.classList.contains("x")) ? " ✗" : ""}`;
    return true;
  }

  // Write the numbers of a file; return false if the page is of another version of the source.
  function showFile(answer) {
    const { version } = JSON.parse(byId("data").textContent);
    const hasFlow = document.querySelector(".listing").classList.contains("flow");
    if (version !== answer.version || hasFlow !== answer.has_flow) return false;
    const scale = [...document.querySelectorAll(".scale .c")];
    answer.levels.forEach((least, n) => put(scale[n], least));
    return answer.lines.every(showLine);
  }

  function show(answer) {
    showState(answer);
    if (answer.sample === 0) return true;
    if (byId("plot") === null) return false; // the page still waits for the first counts
    showRates(answer.rates);
    if (answer.sample === sample) return true;
    showTiles(answer.numbers, answer.ran);
    const isSame = document.querySelector("main.index") ? showIndex(answer) : showFile(answer);
    return showFunctions(answer.functions) && isSame;
  }

  // -- requests -----------------------------------------------------------------------------------------------------
  const name = () => location.pathname.split("/").pop().replace(/\.html$/, "") || "index";

  // Return the answer of the server; null if the page has no counts any more. Throw an error if none comes.
  async function request() {
    const response = await fetch(`${name()}.json?since=${sample}`, { cache: "no-store", signal: AbortSignal.timeout(WAIT) });
    return response.status === 404 ? null : response.json();
  }

  async function next() {
    let answer;
    try {
      answer = await request();
    } catch { // the server has ended, or the answer is cut off
      const text = `The server has stopped, or it does not answer. The last numbers came ${ageText((performance.now() - lastAnswer) / 1000)} ago.`;
      notify([text]);
      if (!byId("notices")) byId("state").textContent = text;
    }
    if (answer === null) notify(["This file has no counts any more. The numbers on this page are old."]);
    else if (answer) {
      lastAnswer = performance.now();
      // A page with other files or lines is loaded again, unless its reader types.
      if (!show(answer) && document.activeElement?.id !== "filter") {
        location.reload();
        return;
      }
      sample = answer.sample;
    }
    setTimeout(next, PAUSE);
  }

  document.addEventListener("DOMContentLoaded", () => { setTimeout(next, 0); });
})();
