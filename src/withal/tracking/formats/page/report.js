// Draws what a program opened: a timeline on a canvas, and a table of which only the rows in sight
// exist.
(() => {
  const { columns: col, texts, stacks, states, seconds } = data;
  const size = col.id.length;
  const LEAK = states.indexOf("leak");
  const BAR = 12, GAP = 3, LABEL = 20, AXIS = 24;

  const endOf = (i) => (col.to[i] === null ? seconds : col.to[i]);
  const text = (i) => texts[i];
  const siteOf = (i) => (stacks[col.stack[i]].length ? text(stacks[col.stack[i]][0]) : "");
  const laneOf = (i, by) => (by === "kind" ? text(col.kind[i])
    : text(col.own[i]) || text(col.task[i]) || "outside of tasks");

  function duration(value) {
    if (value < 0.001) return `${(value * 1e6).toFixed(0)} µs`;
    if (value < 1) return `${(value * 1e3).toFixed(value < 0.1 ? 2 : 0)} ms`;
    return `${value.toFixed(value < 100 ? 2 : 0)} s`;
  }

  // What is shown: indexes of records, in the order of the table.

  let shown = [];
  let chosen = -1; // an index of a record
  const sorting = { by: "opened", down: false };
  const COLUMNS = {
    kind: { title: "Kind", of: (i) => text(col.kind[i]) },
    name: { title: "Name", of: (i) => text(col.name[i]) },
    task: { title: "Task", of: (i) => text(col.task[i]) },
    site: { title: "Opened at", of: siteOf },
    opened: { title: "Opened", of: (i) => col.from[i], show: (i) => duration(col.from[i]) },
    open: { title: "Open for", of: (i) => endOf(i) - col.from[i],
      show: (i) => duration(endOf(i) - col.from[i]) },
    ended: { title: "Ended", of: (i) => text(col.end[i]) },
  };
  // Searched in lower case; made once, as a search runs with each key.
  const haystack = Array.from({ length: size }, (_, i) =>
    [col.kind[i], col.name[i], col.task[i], col.own[i], col.end[i]].map(text).join("\n")
      .concat("\n", siteOf(i)).toLowerCase());

  function select() {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const kind = byId("kind").value, state = byId("state").value;
    shown = [];
    for (let i = 0; i < size; i += 1) {
      if (kind !== "" && col.kind[i] !== Number(kind)) continue;
      if (state !== "" && col.state[i] !== Number(state)) continue;
      if (words.every((word) => haystack[i].includes(word))) shown.push(i);
    }
    byId("shown").textContent = `${count(shown.length)} of ${count(size)} shown`;
    sort();
    layOut();
  }

  function sort() {
    const { of } = COLUMNS[sorting.by];
    const sign = sorting.down ? -1 : 1;
    const keys = new Map(shown.map((i) => [i, of(i)]));
    shown.sort((a, b) => {
      const x = keys.get(a), y = keys.get(b);
      return x < y ? -sign : x > y ? sign : a - b;
    });
    for (const button of byId("head").querySelectorAll("button")) {
      const mine = button.dataset.column === sorting.by;
      button.parentElement.setAttribute("aria-sort",
        mine ? (sorting.down ? "descending" : "ascending") : "none");
      if (mine) button.dataset.sorted = sorting.down ? "▼" : "▲";
      else delete button.dataset.sorted;
    }
    drawTable();
  }

  // The table: only the rows in sight are made.

  const rows = byId("rows");
  const narrow = matchMedia("(max-width: 44rem)");
  const rowHeight = () => (narrow.matches ? 60 : 32);
  // A browser limits the height of an element; past that limit the scroll position is scaled.
  const LONGEST = 8e6;

  function drawTable() {
    const height = rowHeight();
    const whole = shown.length * height;
    byId("space").style.height = `${Math.min(whole, LONGEST)}px`;
    byId("table").setAttribute("aria-rowcount", String(shown.length + 1));
    const inSight = Math.ceil(rows.clientHeight / height) + 1;
    const room = Math.max(1, Math.min(whole, LONGEST) - rows.clientHeight);
    const first = Math.max(0, whole <= LONGEST ? Math.floor(rows.scrollTop / height)
      : Math.round((rows.scrollTop / room) * (shown.length - inSight + 1)));
    const made = [];
    for (let at = first; at < Math.min(first + inSight, shown.length); at += 1) {
      const top = whole <= LONGEST ? at * height : rows.scrollTop + (at - first) * height;
      made.push(makeRow(shown[at], at, top));
    }
    rows.replaceChildren(byId("space") ?? make("div", { id: "space" }), ...made);
    if (!shown.length) rows.append(make("p", { class: "kind" }, "Nothing matches."));
  }

  function makeRow(i, at, top) {
    const cells = Object.entries(COLUMNS).map(([name, { of, show }]) => {
      const value = (show ?? of)(i);
      const leak = name === "ended" && col.state[i] === LEAK;
      return make("span", { role: "cell", title: value, ...(leak ? { class: "leak" } : {}) }, value);
    });
    const row = make("div", { role: "row", class: "row", "aria-rowindex": String(at + 2),
      "aria-selected": String(i === chosen) }, ...cells);
    row.style.transform = `translateY(${top}px)`;
    row.addEventListener("click", () => choose(i, true));
    return row;
  }

  function showRow(at) {
    const height = rowHeight();
    if (shown.length * height > LONGEST) {
      rows.scrollTop = (at / shown.length) * (LONGEST - rows.clientHeight);
      return;
    }
    const top = at * height;
    if (top < rows.scrollTop) rows.scrollTop = top;
    const bottom = top + height - rows.clientHeight;
    if (bottom > rows.scrollTop) rows.scrollTop = bottom;
  }

  rows.addEventListener("scroll", () => requestAnimationFrame(drawTable));
  rows.addEventListener("keydown", (event) => {
    const at = shown.indexOf(chosen);
    const page = Math.max(1, Math.floor(rows.clientHeight / rowHeight()) - 1);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page,
      Home: 0, End: shown.length - 1 }[event.key];
    if (event.key === "Enter" && chosen >= 0) byId("detail").scrollIntoView({ block: "nearest" });
    if (to === undefined || !shown.length) return;
    event.preventDefault();
    const next = Math.min(Math.max(to, 0), shown.length - 1);
    showRow(next);
    choose(shown[next], true);
  });

  // The detail of one.

  function choose(i, reveal) {
    chosen = i;
    drawTable();
    if (reveal) revealBar(i);
    drawTimeline();
    const facts = [["opened", `${duration(col.from[i])} after the start`]];
    if (col.to[i] !== null) facts.push(["closed", `${duration(col.to[i])} after the start`]);
    facts.push(["open for", duration(endOf(i) - col.from[i])], ["ended", text(col.end[i])]);
    for (const [term, index] of [["is the task", col.own[i]], ["opened by task", col.task[i]],
      ["closed by task", col.closer[i]]]) {
      if (text(index)) facts.push([term, text(index)]);
    }
    const holder = col.holder[i] ? col.id.indexOf(col.holder[i]) : -1;
    if (holder >= 0) {
      facts.push(["belongs to", `${text(col.kind[holder])} ${text(col.name[holder])}, ${siteOf(holder)}`]);
    }
    const places = stacks[col.stack[i]].map((place) => make("li", {}, make("code", {}, text(place))));
    byId("detail").replaceChildren(
      make("h3", {}, `${text(col.kind[i])} ${text(col.name[i])}`),
      make("dl", {}, ...facts.flatMap(([term, fact]) => [make("dt", {}, term), make("dd", {}, fact)])),
      make("h3", {}, "Opened at"),
      places.length ? make("ol", {}, ...places) : make("p", {}, "not by a line of the program"));
    byId("detail").hidden = false;
  }

  // The timeline: lanes of rows of bars that do not overlap. Only what is in sight is drawn.

  const box = byId("timeline"), canvas = box.querySelector("canvas");
  const pen = canvas.getContext("2d");
  let lines = []; // {label, y} or {bars, y}
  let height = 0;
  const view = { from: 0, to: Math.max(seconds, 1e-6) };
  const whereIs = new Map(); // the line of a record

  function layOut() {
    const by = byId("lanes").value;
    const lanes = new Map();
    for (const i of [...shown].sort((a, b) => col.from[a] - col.from[b])) {
      const name = laneOf(i, by);
      if (!lanes.has(name)) lanes.set(name, []);
      lanes.get(name).push(i);
    }
    lines = [];
    whereIs.clear();
    let y = AXIS;
    for (const [label, members] of lanes) {
      lines.push({ label: `${label} (${count(members.length)})`, y });
      y += LABEL;
      for (const bars of packed(members)) {
        const line = { bars, y };
        for (const i of bars) whereIs.set(i, line);
        lines.push(line);
        y += BAR + GAP;
      }
      y += GAP;
    }
    height = Math.min(y, LONGEST);
    drawTimeline();
  }

  /** Put bars into as few rows as hold them without overlap: each into the row that is free the
      longest, found in a heap by the end of its last bar. */
  function packed(members) {
    const found = [], heap = []; // pairs of end and row
    const less = (a, b) => heap[a][0] < heap[b][0];
    const swap = (a, b) => { [heap[a], heap[b]] = [heap[b], heap[a]]; };
    for (const i of members) {
      if (heap.length && heap[0][0] <= col.from[i]) {
        heap[0][1].push(i);
        heap[0] = [endOf(i), heap[0][1]];
        for (let at = 0; ;) {
          let least = at;
          for (const child of [2 * at + 1, 2 * at + 2]) {
            if (child < heap.length && less(child, least)) least = child;
          }
          if (least === at) break;
          swap(at, least);
          at = least;
        }
      } else {
        const row = [i];
        found.push(row);
        heap.push([endOf(i), row]);
        for (let at = heap.length - 1; at > 0 && less(at, (at - 1) >> 1); at = (at - 1) >> 1) {
          swap(at, (at - 1) >> 1);
        }
      }
    }
    return found;
  }

  /** Return the first place of a sorted list at which a test holds. */
  function firstOf(list, holds) {
    let low = 0, high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (holds(list[middle])) high = middle; else low = middle + 1;
    }
    return low;
  }

  let colours = {};
  function readColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["page", "line", "ink", "soft", "closed", "leak", "left", "link"]) {
      colours[name] = style.getPropertyValue(`--${name}`).trim();
    }
  }

  const scale = () => box.clientWidth / (view.to - view.from);
  const xOf = (time) => (time - view.from) * scale();

  let asked = false;
  function drawTimeline() {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      paint();
    });
  }

  function paint() {
    const width = box.clientWidth, tall = box.clientHeight, ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(tall * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(tall * ratio);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${tall}px`;
      canvas.style.marginBottom = `-${tall}px`;
    }
    byId("lanespace").style.height = `${Math.max(height + 8, 1)}px`;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = colours.page;
    pen.fillRect(0, 0, width, tall);
    pen.font = "12px system-ui, sans-serif";
    pen.textBaseline = "middle";
    const top = box.scrollTop;
    const kx = scale();
    const start = Math.max(0, firstOf(lines, (line) => line.y > top) - 1);
    for (let at = start; at < lines.length && lines[at].y - top < tall; at += 1) {
      const line = lines[at], y = line.y - top;
      if (line.label !== undefined) {
        pen.fillStyle = colours.line;
        pen.fillRect(0, y, width, 1);
        pen.fillStyle = colours.ink;
        pen.fillText(line.label.slice(0, 200), 6, y + LABEL / 2 + 1);
      } else {
        paintBars(line.bars, y, kx, width);
      }
    }
    paintAxis(width, kx);
    box.dataset.painted = String(lines.length); // for tests
  }

  function paintBars(bars, y, kx, width) {
    let drawn = -1; // the pixel up to which a closed bar has been drawn
    for (let at = firstOf(bars, (i) => endOf(i) >= view.from); at < bars.length; at += 1) {
      const i = bars[at];
      if (col.from[i] > view.to) break;
      const left = Math.max(-4, (col.from[i] - view.from) * kx);
      const right = Math.min(width + 4, (endOf(i) - view.from) * kx);
      if (right <= drawn && col.state[i] !== LEAK && i !== chosen) continue;
      const wide = Math.max(1.5, right - left - (right - left > 4 ? 1 : 0));
      pen.fillStyle = colours[states[col.state[i]]];
      pen.fillRect(left, y, wide, BAR);
      if (i === chosen) {
        pen.strokeStyle = colours.ink;
        pen.lineWidth = 2;
        pen.strokeRect(left, y, wide, BAR);
      }
      if (wide > 60) {
        pen.save();
        pen.beginPath();
        pen.rect(left, y, wide, BAR);
        pen.clip();
        pen.fillStyle = colours.page;
        pen.font = "10px system-ui, sans-serif";
        pen.fillText(`${text(col.kind[i])} ${text(col.name[i])}`.slice(0, 80), Math.max(left, 0) + 4, y + BAR / 2 + .5);
        pen.restore();
      }
      drawn = left + wide;
    }
  }

  function paintAxis(width, kx) {
    pen.fillStyle = colours.page;
    pen.fillRect(0, 0, width, AXIS - 2);
    pen.fillStyle = colours.soft;
    const rough = 90 / kx, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
    for (let time = Math.ceil(view.from / step) * step; time <= view.to; time += step) {
      const x = xOf(time);
      pen.fillRect(x, 0, 1, 5);
      pen.fillText(duration(Math.max(0, time)), x + 3, 13);
    }
  }

  // Moving about.

  function show(from, to) {
    const least = 1e-6;
    const wide = Math.min(Math.max(to - from, least), Math.max(seconds, least));
    view.from = Math.min(Math.max(0, from), Math.max(0, seconds - wide));
    view.to = view.from + wide;
    drawTimeline();
  }
  function zoom(factor, x = box.clientWidth / 2) {
    const at = view.from + x / scale();
    show(at - (at - view.from) * factor, at + (view.to - at) * factor);
  }
  function pan(pixels) {
    const by = pixels / scale();
    show(view.from + by, view.to + by);
  }

  function revealBar(i) {
    const line = whereIs.get(i);
    if (!line) return;
    if (line.y < box.scrollTop + AXIS + LABEL || line.y > box.scrollTop + box.clientHeight - BAR) {
      box.scrollTop = line.y - box.clientHeight / 2;
    }
    if (endOf(i) < view.from || col.from[i] > view.to) {
      const wide = view.to - view.from;
      show(col.from[i] - wide / 2, col.from[i] + wide / 2);
    }
  }

  function nextLeak() {
    const leaks = shown.filter((i) => col.state[i] === LEAK);
    if (!leaks.length) return;
    const next = leaks[(leaks.indexOf(chosen) + 1) % leaks.length];
    showRow(shown.indexOf(next));
    choose(next, true);
  }

  /** Return the record whose bar is at a place; a bar may be thinner than a finger. */
  function hit(x, y) {
    const line = lines[firstOf(lines, (each) => each.y > y + box.scrollTop) - 1];
    if (!line?.bars) return -1;
    const time = view.from + x / scale(), slack = 6 / scale();
    let best = -1, nearest = slack;
    for (let at = firstOf(line.bars, (i) => endOf(i) >= time - slack); at < line.bars.length; at += 1) {
      const i = line.bars[at];
      if (col.from[i] > time + slack) break;
      const far = Math.max(0, col.from[i] - time, time - endOf(i));
      if (far <= nearest) [best, nearest] = [i, far];
    }
    return best;
  }

  box.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) {
      event.preventDefault();
      if (event.shiftKey) pan(event.deltaY || event.deltaX);
      else zoom(Math.exp(event.deltaY / 300), event.clientX - box.getBoundingClientRect().left);
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      event.preventDefault();
      pan(event.deltaX);
    }
  }, { passive: false });

  const fingers = new Map();
  let moved = 0, apart = 0;
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return Math.abs(a - b);
  };
  box.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, event.clientX);
    moved = 0;
    if (fingers.size === 2) apart = spread();
  });
  box.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const by = event.clientX - fingers.get(event.pointerId);
    fingers.set(event.pointerId, event.clientX);
    moved += Math.abs(by);
    if (fingers.size === 2) {
      const now = Math.max(spread(), 1);
      zoom(Math.max(apart, 1) / now);
      apart = now;
    } else if (moved > 4) {
      pan(-by);
    }
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
    box.addEventListener(name, (event) => {
      const held = fingers.delete(event.pointerId);
      if (name !== "pointerup" || !held || moved > 4) return;
      const place = box.getBoundingClientRect();
      const i = hit(event.clientX - place.left, event.clientY - place.top);
      if (i >= 0) {
        showRow(shown.indexOf(i));
        choose(i, false);
      }
    });
  }
  box.addEventListener("scroll", drawTimeline);
  box.addEventListener("keydown", (event) => {
    const act = {
      ArrowLeft: () => pan(-box.clientWidth / 5), ArrowRight: () => pan(box.clientWidth / 5),
      ArrowUp: () => box.scrollBy(0, -60), ArrowDown: () => box.scrollBy(0, 60),
      "+": () => zoom(1 / 1.5), "=": () => zoom(1 / 1.5), "-": () => zoom(1.5),
      0: () => show(0, seconds), n: nextLeak, N: nextLeak,
      Enter: () => chosen >= 0 && byId("detail").scrollIntoView({ block: "nearest" }),
    }[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });
  byId("in").addEventListener("click", () => zoom(1 / 1.5));
  byId("out").addEventListener("click", () => zoom(1.5));
  byId("whole").addEventListener("click", () => show(0, seconds));
  byId("next").addEventListener("click", nextLeak);

  // The filters.

  for (const [name, { title }] of Object.entries(COLUMNS)) {
    const button = make("button", { type: "button", "data-column": name }, title);
    button.addEventListener("click", () => {
      sorting.down = sorting.by === name ? !sorting.down : name === "open";
      sorting.by = name;
      sort();
    });
    byId("head").append(make("span", { role: "columnheader" }, button));
  }
  function choices(id, values, words) {
    const totals = new Map();
    for (const value of values) totals.set(value, (totals.get(value) ?? 0) + 1);
    for (const [value, number] of [...totals].sort((a, b) => (words(a[0]) < words(b[0]) ? -1 : 1))) {
      byId(id).append(make("option", { value }, `${words(value)} (${count(number)})`));
    }
  }
  choices("kind", col.kind, text);
  choices("state", col.state, (state) => ({ left: "open at the end, no leak" })[states[state]] ?? states[state]);
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["search", "kind", "state"]) byId(id).addEventListener("input", select);
  byId("lanes").addEventListener("input", layOut);
  byId("filters").hidden = byId("views").hidden = false;
  readColours();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readColours();
    drawTimeline();
  });
  new ResizeObserver(() => {
    drawTimeline();
    drawTable();
  }).observe(box);
  select();
})();
