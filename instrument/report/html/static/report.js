// The script of all pages: colours, keys, the table of files, tables of functions, and the pages of a single file.
"use strict";
(() => {
  // -- colours: the choice is kept where the browser allows it ------------------------------------------------------
  const THEMES = ["auto", "light", "dark"];
  const KEY = "instrument-theme";
  let theme = "auto";
  try { theme = localStorage.getItem(KEY) || "auto"; } catch { /* storage is off */ }
  if (!THEMES.includes(theme)) theme = "auto";

  function showTheme() {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    for (const each of document.querySelectorAll("[data-theme-name]")) each.textContent = theme;
  }
  showTheme(); // before the body is there, so that no page flashes

  function nextTheme() {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    try { localStorage.setItem(KEY, theme); } catch { /* storage is off */ }
    showTheme();
  }

  // -- numbers, as instrument.report.html.short_numbers writes them -------------------------------------------------
  function short(count) {
    if (count <= 9999n) return `${count}`;
    let scale = 1n;
    for (const unit of "kMGTPEZY") {
      scale *= 1000n;
      const tenths = (20n * count + scale) / (2n * scale);
      if (tenths < 100n) return `${tenths / 10n}.${tenths % 10n}\u00a0${unit}`;
      const whole = (2n * count + scale) / (2n * scale);
      if (whole < 1000n) return `${whole}\u00a0${unit}`;
    }
    return `${count}`;
  }
  // As instrument.report.text has it: halves go to the even number, and only none is 0% and only all is 100%.
  function percentage(n, total) {
    if (!total) return "-";
    const exactly = (100 * n) / total;
    let percent = Math.round(exactly);
    if (exactly % 1 === 0.5 && percent % 2) percent--;
    if (n > 0 && n < total) percent = Math.min(Math.max(percent, 1), 99);
    return `${percent}%`;
  }
  const exact = (count) => `${count}`.replace(/\B(?=(\d{3})+$)/g, ",");

  // -- sorting ------------------------------------------------------------------------------------------------------
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

  // Mark the column `th` as sorted, and return the sign of the order: 1 for ascending.
  function turn(th) {
    const now = th.getAttribute("aria-sort");
    const first = th.classList.contains("name") ? "ascending" : "descending";
    const second = first === "ascending" ? "descending" : "ascending";
    for (const other of th.parentNode.children) other.removeAttribute("aria-sort");
    th.setAttribute("aria-sort", now === first ? second : first);
    return th.getAttribute("aria-sort") === "ascending" ? 1 : -1;
  }

  function sortTable(table, th, sign = turn(th)) {
    const at = [...th.parentNode.children].indexOf(th);
    const value = (tr) => {
      const text = tr.children[at].dataset.v;
      return th.classList.contains("name") ? text.toLowerCase() : BigInt(text);
    };
    const rows = [...table.tBodies[0].rows].map((tr) => [value(tr), tr]);
    rows.sort((a, b) => sign * compare(a[0], b[0]));
    table.tBodies[0].append(...rows.map(([, tr]) => tr));
  }

  // Sort `table` again by the column that is marked as sorted.
  function sortAgain(table) {
    const th = table.querySelector("th[aria-sort]");
    sortTable(table, th, th.getAttribute("aria-sort") === "ascending" ? 1 : -1);
  }

  // -- the tree of files --------------------------------------------------------------------------------------------
  let tree = null;

  class Tree {
    constructor(table) {
      this.table = table;
      this.body = table.tBodies[0];
      this.heads = [...table.tHead.rows[0].cells];
      this.keys = this.heads.map((th) => th.dataset.key);
      this.rows = [...this.body.rows].map((tr) => ({
        tr,
        parent: Number(tr.dataset.parent),
        isFolder: tr.classList.contains("folder"),
        label: tr.dataset.label,
        words: tr.dataset.label.toLowerCase(),
        name: tr.cells[0].textContent.toLowerCase(),
        fold: tr.querySelector(".fold"),
        values: [...tr.cells].map((td) => (td.dataset.v === undefined ? null : BigInt(td.dataset.v))),
        shown: true,
      }));
      for (const row of this.rows) row.inner = [];
      this.top = [];
      for (const row of this.rows) (row.parent < 0 ? this.top : this.rows[row.parent].inner).push(row);
      this.key = "name";
      this.sign = 1;
      this.isFlat = false;
      this.words = [];
      this.order = [];
      this.nFiles = this.rows.filter((row) => !row.isFolder).length;
    }

    // Take the numbers from the cells again, after another script has changed them.
    renew() {
      for (const row of this.rows) row.values = [...row.tr.cells].map((td) => (td.dataset.v === undefined ? null : BigInt(td.dataset.v)));
      if (this.words.length) this.filter(this.words.join(" "));
      else this.show();
    }

    isOpen(row) { return this.words.length > 0 || row.fold.getAttribute("aria-expanded") === "true"; }

    // Choose the files that have all words in their paths, and add up the numbers of folders anew.
    filter(text) {
      this.words = text.toLowerCase().split(/\s+/).filter(Boolean);
      for (let n = this.rows.length - 1; n >= 0; n--) { // what is in a folder comes behind it
        const row = this.rows[n];
        if (!row.isFolder) row.shown = this.words.every((word) => row.words.includes(word));
        else this.addUp(row);
      }
      this.show();
      const n = this.rows.filter((row) => !row.isFolder && row.shown).length;
      document.getElementById("shown").textContent = this.words.length ? `${n} of ${this.nFiles} files` : "";
    }

    addUp(folder) {
      const inner = folder.inner.filter((row) => row.shown);
      folder.shown = inner.length > 0;
      const { cells } = folder.tr;
      this.keys.forEach((key, at) => {
        if (folder.values[at] === null) return;
        const sum = inner.reduce((total, row) => {
          const value = row.values[at];
          return key === "hottest" ? (value > total ? value : total) : total + value;
        }, 0n);
        if (sum === folder.values[at]) return;
        folder.values[at] = sum;
        const isLong = key === "hits" || key === "hottest" || key === "cost";
        cells[at].textContent = isLong ? short(sum) : exact(sum);
        if (isLong) cells[at].title = exact(sum);
      });
      const lines = folder.values[this.keys.indexOf("lines")];
      const ran = lines - folder.values[this.keys.indexOf("missing")];
      const part = cells[this.keys.indexOf("ran")];
      part.firstChild.data = `${percentage(Number(ran), Number(lines))} `;
      part.querySelector(".part > i").className = `w${lines ? (20n * ran) / lines : 20n}`;
    }

    sort(th) {
      this.sign = turn(th);
      this.key = th.dataset.key;
      this.show();
    }

    value(row) {
      if (this.key === "name") return this.isFlat ? row.words : row.name;
      if (this.key !== "ran") return row.values[this.keys.indexOf(this.key)];
      const lines = row.values[this.keys.indexOf("lines")];
      return lines ? Number(lines - row.values[this.keys.indexOf("missing")]) / Number(lines) : 2;
    }

    ordered(rows) {
      const pairs = rows.map((row) => [this.value(row), row]);
      const folders = this.key === "name" && !this.isFlat;
      pairs.sort((a, b) => (folders ? b[1].isFolder - a[1].isFolder : 0) || this.sign * compare(a[0], b[0]));
      return pairs.map(([, row]) => row);
    }

    // Put the rows in order, and show those that are chosen and whose folders are open.
    show() {
      const order = [];
      if (this.isFlat) {
        for (const row of this.rows) {
          if (!row.isFolder) continue;
          row.tr.hidden = true;
          order.push(row.tr);
        }
        for (const row of this.ordered(this.rows.filter((each) => !each.isFolder))) {
          row.tr.hidden = !row.shown;
          order.push(row.tr);
        }
      } else {
        const add = (rows, isSeen) => {
          for (const row of this.ordered(rows)) {
            row.tr.hidden = !isSeen || !row.shown;
            order.push(row.tr);
            if (row.isFolder) add(row.inner, isSeen && this.isOpen(row));
          }
        };
        add(this.top, true);
      }
      // Rows that stay where they are cost the browser nothing.
      if (order.some((tr, n) => tr !== this.order[n])) this.body.append(...order);
      this.order = order;
    }

    // Show a plain list of files with whole paths, or the tree.
    setFlat(isFlat) {
      this.isFlat = isFlat;
      this.table.classList.toggle("flat", isFlat);
      for (const row of this.rows) {
        if (!row.isFolder) row.tr.cells[0].querySelector("a").textContent = isFlat ? row.label : row.label.slice(this.above(row).length);
      }
      this.show();
    }

    above(row) { return row.parent < 0 ? "" : this.rows[row.parent].label; }

    setAll(isOpen) {
      for (const row of this.rows) if (row.isFolder) row.fold.setAttribute("aria-expanded", `${isOpen}`);
      this.show();
    }
  }

  // -- the lines of a file ------------------------------------------------------------------------------------------
  const page = () => document.querySelector("main:not([hidden])");
  const lines = () => [...document.querySelectorAll("main:not([hidden]) .l")];
  const current = () => document.querySelector("main:not([hidden]) .l.current");

  function goTo(line) {
    if (!line) return;
    current()?.classList.remove("current");
    line.classList.add("current");
    history.replaceState(null, "", line.querySelector(".n").getAttribute("href"));
    line.scrollIntoView({ block: "center" });
  }

  // Go to the next line that is `wanted`, or to the one before; behind the last one, to the first.
  function step(wanted, direction) {
    const all = lines();
    const now = all.indexOf(current());
    const start = now < 0 && direction < 0 ? all.length : now;
    for (let n = 1; n <= all.length; n++) {
      const line = all[(((start + direction * n) % all.length) + all.length) % all.length];
      if (wanted(line)) return goTo(line);
    }
  }

  // Go to the line with the next greater count (1), or the next smaller one (-1); at first to the hottest line.
  function stepByHeat(direction) {
    const all = lines().filter((line) => line.dataset.count);
    const order = all.map((line) => [BigInt(line.dataset.count), line]);
    order.sort((a, b) => compare(b[0], a[0]));
    const now = order.findIndex(([, line]) => line === current());
    const at = now < 0 ? 0 : now - direction;
    if (order[at]) goTo(order[at][1]);
  }

  function toggleConditions() {
    const all = [...document.querySelectorAll("main:not([hidden]) .conditions")];
    const open = !all.some((each) => each.open);
    for (const each of all) each.open = open;
  }

  // -- one file with all pages --------------------------------------------------------------------------------------
  function route() {
    const holder = document.getElementById("page");
    const [name, line] = decodeURIComponent(location.hash.slice(1)).split(":");
    if (holder) {
      const template = document.getElementById(`page-${name}`);
      const index = document.querySelector("main.index");
      if (holder.dataset.name !== (template ? name : "")) {
        holder.replaceChildren(...(template ? [template.content.cloneNode(true)] : []));
        holder.dataset.name = template ? name : "";
        document.title = template ? `${template.dataset.title} - ${index.querySelector("h1").textContent}` : index.querySelector("h1").textContent;
        if (!line) scrollTo(0, 0);
      }
      index.hidden = Boolean(template);
    }
    const target = document.getElementById(holder ? line : name);
    if (target?.classList.contains("l") && target !== current()) {
      current()?.classList.remove("current");
      target.classList.add("current");
      if (holder) target.scrollIntoView({ block: "center" });
    }
  }

  // For the script that keeps numbers up to date.
  globalThis.instrument = { short, exact, sortAgain, renewTree: () => tree?.renew() };

  // -- keys and clicks ----------------------------------------------------------------------------------------------
  const open = (address) => { if (address) location.href = address; };
  const isMissing = (line) => line.classList.contains("m");
  const isPartial = (line) => line.classList.contains("p") || Boolean(line.querySelector(".x"));
  function help() {
    const dialog = document.getElementById("keys");
    if (dialog.open) dialog.close();
    else dialog.showModal();
  }
  function changeFolders() {
    const box = document.getElementById("folders");
    if (!tree || page() !== document.querySelector("main.index")) return;
    box.checked = !box.checked;
    tree.setFlat(!box.checked);
  }

  const KEYS = {
    n: () => step(isMissing, 1),
    p: () => step(isMissing, -1),
    b: () => step(isPartial, 1),
    B: () => step(isPartial, -1),
    h: () => stepByHeat(1),
    c: () => stepByHeat(-1),
    o: toggleConditions,
    "]": () => open(page().dataset.after),
    "[": () => open(page().dataset.before),
    u: () => open(page().dataset.index),
    "/": () => document.getElementById("filter")?.focus(),
    f: changeFolders,
    t: nextTheme,
    "?": help,
  };
  const ACTIONS = { theme: nextTheme, help, open: () => tree.setAll(true), close: () => tree.setAll(false) };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches?.("input[type=search]")) {
      if (event.key === "Escape") { event.target.value = ""; tree.filter(""); event.target.blur(); }
      return;
    }
    if (document.getElementById("keys").open && event.key !== "?") return;
    const action = Object.hasOwn(KEYS, event.key) && KEYS[event.key];
    if (action) { event.preventDefault(); action(); }
  });

  document.addEventListener("click", (event) => {
    const { target } = event;
    const action = target.closest("[data-action]");
    const fold = target.closest(".fold");
    const th = target.closest("th[data-key]");
    if (action) ACTIONS[action.dataset.action]();
    else if (fold) {
      fold.setAttribute("aria-expanded", `${fold.getAttribute("aria-expanded") !== "true"}`);
      tree.show();
    } else if (th) {
      const table = th.closest("table");
      if (table.classList.contains("tree")) tree.sort(th);
      else sortTable(table, th);
    }
  });

  document.addEventListener("DOMContentLoaded", () => {
    showTheme();
    const table = document.querySelector("table.tree");
    if (table) {
      tree = new Tree(table);
      const filter = document.getElementById("filter");
      filter.addEventListener("input", () => tree.filter(filter.value));
      document.getElementById("folders").addEventListener("change", (event) => tree.setFlat(!event.target.checked));
      if (filter.value) tree.filter(filter.value); // the browser went back to this page
    }
    route();
    addEventListener("hashchange", route);
  });
})();
