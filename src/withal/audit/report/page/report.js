// Draws the matrix of an audit: sites in rows, the suspensions at each within, deliveries in columns.
// A row or a detail is made when it is first to be seen.
(() => {
  const AT_FIRST = 50; // rows of a kind that are made before anybody asks for more of them
  const AT_ONCE = 200; // rows that are made when somebody does
  const UNFOLDED = 40; // suspensions that are shown before anybody unfolds a site
  const SIGNS = { unsafe: "✕", unresolved: "?", safe: "✓", untried: "–" };
  const WORDS = { unsafe: "unsafe", unresolved: "unresolved", safe: "safe", untried: "not tried" };

  const filter = { verdict: "", category: "" };
  const unfolded = new Set();
  let details = 0; // how many were made, for their ids

  const text = (index) => data.strings[index];
  const verdictOf = (cell) => (cell ? cell.verdict : "untried");

  const sign = (verdict) => make("span", { class: "sign", "aria-hidden": "true" }, SIGNS[verdict]);

  // What the filter lets through.

  function matches(cell) {
    if (filter.verdict && verdictOf(cell) !== filter.verdict) return false;
    if (filter.category === "") return true;
    return Boolean(cell?.findings?.some((each) => each.category === Number(filter.category)));
  }

  const isFiltered = () => filter.verdict !== "" || filter.category !== "";
  const pointsShown = (site) => site.points.filter((point) => point.cells.some(matches));

  // The cells.

  function outcomeOf(cell) {
    const verdict = verdictOf(cell);
    if (verdict !== "unsafe") return WORDS[verdict];
    const names = [...new Set(cell.findings.map((each) => each.category))].sort((a, b) => a - b);
    const others = names.length > 1 ? ` +${names.length - 1}` : "";
    return data.categories[names[0]] + others;
  }

  function makeCell(point, column) {
    const cell = point.cells[column];
    const verdict = verdictOf(cell);
    const faded = isFiltered() && !matches(cell) ? " faded" : "";
    const shown = [sign(verdict), outcomeOf(cell)];
    const box = make("td", { role: "cell", "data-delivery": data.deliveries[column].name });
    if (!cell) {
      box.append(make("span", { class: `cell untried${faded}` }, ...shown));
      return box;
    }
    const address = `${point.label}:${data.deliveries[column].name}`;
    const label = verdict === "unsafe" ? `${address}: unsafe, ${outcomeOf(cell)}` : `${address}: ${outcomeOf(cell)}`;
    const button = make("button", {
      type: "button",
      class: `cell ${verdict}${faded}`,
      "aria-expanded": "false",
      "aria-label": label,
    }, ...shown);
    button.addEventListener("click", () => toggleDetail(button, point, column));
    box.append(button);
    return box;
  }

  function makeTally(site, column) {
    const counts = { unsafe: 0, unresolved: 0, safe: 0, untried: 0 };
    for (const point of site.points) counts[verdictOf(point.cells[column])] += 1;
    const parts = Object.entries(counts).filter(([, number]) => number).map(([verdict, number]) =>
      make("span", { class: verdict }, sign(verdict), ` ${count(number)}`,
        make("span", { class: "unseen" }, ` ${WORDS[verdict]}`)));
    return make("td", { role: "cell", "data-delivery": data.deliveries[column].name },
      make("span", { class: "tally" }, ...parts));
  }

  // The rows.

  function makePlace(site, button) {
    const { file, line, function: name } = data.frames[site.frame];
    const path = text(file);
    const cut = path.lastIndexOf("/") + 1;
    const place = make("span", {},
      make("span", { class: "folder" }, path.slice(0, cut)),
      make("span", { class: "file" }, path.slice(cut) + (line ? `:${line}` : "")),
      text(name) ? ` ${text(name)}` : "");
    return button
      ? make("button", { type: "button", class: "place", "aria-expanded": "false" }, place)
      : make("span", { class: "place" }, place);
  }

  function waiting(suspension) {
    const { task, awaited } = suspension;
    const where = text(task) === "scenario" ? "" : `in the task ${text(task)}, `;
    return `${where}waits for ${text(awaited)}`;
  }

  function makeNumber(point) {
    const suspension = data.suspensions[point.suspension];
    return [
      make("span", { class: "unseen" }, "suspension "),
      make("span", { class: "number" }, point.label.replaceAll("+", " + ")),
      ` ${waiting(suspension)}`,
    ];
  }

  function makePointRow(point) {
    return make("tr", { role: "row", class: "point" },
      make("th", { role: "rowheader", scope: "row" }, ...makeNumber(point)),
      ...point.cells.map((_, column) => makeCell(point, column)));
  }

  function makeSite(site) {
    const source = text(data.frames[site.frame].source);
    const code = source ? make("code", { class: "source" }, source) : undefined;
    const body = make("tbody", { role: "rowgroup", class: "site" });
    if (site.points.length === 1) {
      const [point] = site.points;
      const number = make("div", { class: "where" }, ...makeNumber(point));
      body.append(make("tr", { role: "row" },
        make("th", { role: "rowheader", scope: "row" }, makePlace(site, false), code, number),
        ...point.cells.map((_, column) => makeCell(point, column))));
      return body;
    }
    const place = makePlace(site, true);
    body.append(make("tr", { role: "row", class: "tallies" },
      make("th", { role: "rowheader", scope: "rowgroup" }, place, code),
      ...data.deliveries.map((_, column) => makeTally(site, column))));
    place.addEventListener("click", () => {
      if (!unfolded.delete(site)) unfolded.add(site);
      unfold(site, body, place);
    });
    unfold(site, body, place);
    return body;
  }

  function unfold(site, body, place) {
    const open = unfolded.has(site);
    place.setAttribute("aria-expanded", String(open));
    while (body.rows.length > 1) body.deleteRow(1);
    if (open) appendSome(body, pointsShown(site), makePointRow, "suspensions", inRow);
  }

  const inRow = (button) => make("tr", { role: "row" },
    make("td", { role: "cell", colspan: data.deliveries.length + 1 }, button));

  /** Append the first elements, and a button that appends more. */
  function appendSome(parent, items, makeOne, noun, wrap, some = AT_FIRST) {
    parent.append(...items.slice(0, some).map(makeOne));
    const rest = items.slice(some);
    if (!rest.length) return;
    const button = make("button", { type: "button", class: "more" },
      `Show ${count(Math.min(AT_ONCE, rest.length))} more of ${count(rest.length)} ${noun}`);
    const row = wrap(button);
    button.addEventListener("click", () => {
      row.remove();
      const last = parent.lastElementChild; // what was asked for comes after it
      appendSome(parent, rest, makeOne, noun, wrap, AT_ONCE);
      last?.nextElementSibling.querySelector("button")?.focus();
    });
    parent.append(row);
  }

  // The details of an attempt.

  function toggleDetail(button, point, column) {
    const row = button.closest("tr");
    const next = row.nextElementSibling;
    const wasOpen = button.getAttribute("aria-expanded") === "true";
    if (next?.classList.contains("detail")) next.remove();
    for (const each of row.querySelectorAll("button.cell")) {
      each.setAttribute("aria-expanded", "false");
      each.removeAttribute("aria-controls");
    }
    if (wasOpen) return;
    const detail = makeDetail(point, column);
    row.after(detail);
    button.setAttribute("aria-expanded", "true");
    button.setAttribute("aria-controls", detail.id);
  }

  function makeDetail(point, column) {
    const { name, how } = data.deliveries[column];
    const cell = point.cells[column];
    const address = `${point.label}:${name}`;
    const heading = make("h2", {}, `${address} · ${WORDS[cell.verdict]}`);
    const panel = make("section", { class: "panel", "aria-label": address }, heading,
      make("p", {}, `${how}. The scenario then ended: ${text(cell.outcome)}`),
      ...(cell.findings ?? []).map(makeFinding),
      makeText("Why it says nothing", cell.unresolved),
      ...point.after.map((each) => makeStack("Cancelled before that", each)),
      makeStack("Suspended", point.suspension),
      makeText("Seen besides", cell.detail),
      makeReplay(address));
    details += 1;
    return make("tr", { role: "row", class: "detail", id: `detail-${details}` },
      make("td", { role: "cell", colspan: data.deliveries.length + 1 }, panel));
  }

  function makeFinding({ category, evidence, detail }) {
    const more = text(detail) ? make("pre", {}, text(detail)) : undefined;
    return make("div", { class: "finding" },
      make("b", {}, data.categories[category]), make("span", {}, text(evidence)), more);
  }

  function makeText(title, index) {
    if (index === undefined) return undefined;
    return make("div", {}, make("h3", {}, title), make("pre", {}, text(index)));
  }

  function makeStack(title, index) {
    const suspension = data.suspensions[index];
    const frames = suspension.chain.map((each) => {
      const { file, line, function: name, source } = data.frames[each];
      return make("li", {},
        make("span", { class: "at" }, `${text(file)}:${line} in ${text(name)}`),
        text(source) ? make("code", {}, text(source)) : undefined);
    });
    const where = `${title} at ${suspension.ordinal}, ${waiting(suspension)}`;
    return make("div", {}, make("h3", {}, where), make("ol", { class: "stack" }, ...frames));
  }

  function makeReplay(address) {
    const code = make("code", {}, data.replay.join(address));
    const button = make("button", { type: "button", class: "copy" }, "Copy");
    const told = make("span", { role: "status" });
    button.addEventListener("click", async () => {
      told.textContent = (await copy(code)) ? "Copied" : "Select it to copy";
    });
    return make("div", {}, make("h3", {}, "Replay"),
      make("div", { class: "replay" }, code, button, told));
  }

  async function copy(element) {
    try {
      await navigator.clipboard.writeText(element.textContent);
      return true;
    } catch { // a page from a file or from plain HTTP may have no clipboard
      getSelection().selectAllChildren(element);
      return document.execCommand("copy");
    }
  }

  // The page.

  function makeHead() {
    const columns = data.deliveries.map(({ name, how }) =>
      make("th", { role: "columnheader", scope: "col", title: how }, name));
    return make("thead", { role: "rowgroup" }, make("tr", { role: "row" },
      make("th", { role: "columnheader", scope: "col" }, "Where it waits"), ...columns));
  }

  function draw() {
    const sites = data.sites.filter((site) => pointsShown(site).length);
    const table = make("table", { role: "table" },
      make("caption", { class: "unseen" }, "Attempts by site and delivery, the worst first"),
      makeHead());
    table.style.setProperty("--columns", String(Math.max(data.deliveries.length, 3)));
    appendSome(table, sites, makeSite, "sites", (button) => make("tbody", { role: "rowgroup" }, inRow(button)));
    const nothing = make("p", { class: "nothing" },
      data.sites.length ? "Nothing was tried that fits." : "Nothing was tried.");
    document.getElementById("matrix").replaceChildren(sites.length ? table : nothing);
    const cells = sites.flatMap((site) => site.points).flatMap((point) => point.cells);
    const fitting = cells.filter((cell) => cell && matches(cell)).length;
    document.getElementById("shown").textContent = `${count(fitting)} shown`;
  }

  function makeFilters() {
    const counts = { unsafe: 0, unresolved: 0, safe: 0, untried: 0 };
    const categories = new Map();
    for (const cell of data.sites.flatMap((site) => site.points.flatMap((each) => each.cells))) {
      counts[verdictOf(cell)] += 1;
      for (const each of new Set((cell?.findings ?? []).map((finding) => finding.category))) {
        categories.set(each, (categories.get(each) ?? 0) + 1);
      }
    }
    const box = document.getElementById("verdicts");
    const choices = ["", ...Object.keys(counts).filter((verdict) => counts[verdict])];
    const buttons = choices.map((verdict) => make("button",
      { type: "button", "aria-pressed": String(verdict === "") },
      ...(verdict ? [sign(verdict), ` ${WORDS[verdict]} ${count(counts[verdict])}`] : ["all"])));
    buttons.forEach((button, index) => button.addEventListener("click", () => {
      filter.verdict = choices[index];
      for (const each of buttons) each.setAttribute("aria-pressed", String(each === button));
      draw();
    }));
    box.append(...buttons);
    const label = document.getElementById("categories");
    const select = label.querySelector("select");
    label.hidden = categories.size === 0;
    for (const [each, number] of [...categories].sort(([a], [b]) => a - b)) {
      select.append(make("option", { value: each }, `${data.categories[each]} (${count(number)})`));
    }
    select.addEventListener("change", () => {
      filter.category = select.value;
      draw();
    });
    document.getElementById("filters").hidden = choices.length < 2;
  }

  /** Unfold the worst sites, as many as make a page that can be taken in. */
  function unfoldTheWorst() {
    let left = UNFOLDED;
    for (const site of data.sites) {
      const wrong = site.points.some((point) => point.cells.some((cell) => cell?.findings));
      left -= site.points.length;
      if (!wrong || left < 0) return;
      unfolded.add(site);
    }
  }

  document.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
  unfoldTheWorst();
  makeFilters();
  draw();
})();
