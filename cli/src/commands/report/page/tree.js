// The tree of paths: a node's children are made when it is opened (WAI-ARIA's pattern of a tree view).

/** Children that are made at once. */
const CHILDREN_AT_ONCE = 200;
/** Rows that are opened by themselves: at first, and below what a search has found. */
const OPENED_AT_FIRST = 40;
const OPENED_BY_SEARCH = 200;

class Tree {
  /** In a list, which it empties. */
  constructor(list, index, opened) {
    this.list = list;
    this.index = index;
    /** What each item shows. */
    this.nodes = new WeakMap();
    /** How many paths have a row of their own by now. */
    this.shown = 0;
    list.replaceChildren();
    this.append(list, index.top(), index.rows.length, 1, opened);
    this.openSome(opened);
    list.querySelector("li")?.setAttribute("tabindex", "0");
    list.onclick = (event) => this.click(event);
    list.onkeydown = (event) => this.key(event);
  }

  /** Opens level by level while rows are left of `most`. */
  openSome(most) {
    const queue = [...this.list.children];
    let left = most - queue.length;
    for (let at = 0; at < queue.length && left > 0; at++) {
      if (!queue[at].hasAttribute("aria-expanded")) continue;
      this.open(queue[at], left);
      const made = [...queue[at].lastChild.children];
      left -= made.length;
      queue.push(...made);
    }
  }

  /** Appends items for as many nodes as are made at once, and one for the rest of the `rows` paths. */
  append(list, nodes, rows, level, most = CHILDREN_AT_ONCE) {
    let left = rows;
    for (let made = 0; made < Math.min(most, CHILDREN_AT_ONCE) && left > 0; made++) {
      const { value: node, done } = nodes.next();
      if (done) return;
      left -= node.high - node.low;
      list.append(this.item(node, level));
    }
    if (left > 0) {
      const text = `${counted(left, "more path")} here: show some`;
      const more = element(
        "li",
        { role: "treeitem", "aria-level": level, tabindex: -1 },
        element("div", { class: "row rest" }, text),
      );
      this.nodes.set(more, { rest: () => this.replaceRest(more, nodes, left, level) });
      list.append(more);
    }
  }

  replaceRest(more, nodes, left, level) {
    const list = more.parentElement;
    const before = more.previousElementSibling;
    more.remove();
    this.append(list, nodes, left, level);
    this.focus(before ? before.nextElementSibling : list.firstElementChild);
  }

  item(node, level) {
    const expandable = this.index.hasChildren(node);
    if (node.row) this.shown += 1;
    const row = rowElement(this.index, node, expandable);
    const attributes = { role: "treeitem", "aria-level": level, tabindex: -1, "aria-label": row.textContent };
    const item = element("li", { ...attributes, "aria-expanded": expandable ? "false" : null }, row);
    this.nodes.set(item, { node });
    return item;
  }

  open(item, most) {
    if (item.children.length === 1) {
      const { node } = this.nodes.get(item);
      const group = element("ul", { role: "group" });
      const below = node.high - node.low - (node.row ? 1 : 0);
      this.append(group, this.index.children(node), below, Number(item.ariaLevel) + 1, most);
      item.append(group);
    }
    item.lastChild.hidden = false;
    item.setAttribute("aria-expanded", "true");
  }

  close(item) {
    item.lastChild.hidden = true;
    item.setAttribute("aria-expanded", "false");
  }

  /** Opens or closes an item, or makes what is left of a directory. */
  toggle(item) {
    const { rest } = this.nodes.get(item);
    if (rest) rest();
    else if (item.ariaExpanded === "true") this.close(item);
    else if (item.ariaExpanded === "false") this.open(item);
    this.onchange?.();
  }

  click(event) {
    const item = event.target.closest("li");
    if (!item || String(getSelection()) !== "") return;
    this.focus(item);
    this.toggle(item);
  }

  key(event) {
    const item = event.target.closest("li");
    if (!item || event.ctrlKey || event.altKey || event.metaKey) return;
    const above = item.parentElement.closest("li");
    const actions = {
      ArrowDown: () => this.focus(itemAfter(item, this.list)),
      ArrowUp: () => this.focus(itemBefore(item) ?? above),
      ArrowRight: () => (item.ariaExpanded === "true" ? this.focus(item.lastChild.firstChild) : this.toggle(item)),
      ArrowLeft: () => (item.ariaExpanded === "true" ? this.close(item) : this.focus(above)),
      Home: () => this.focus(this.list.firstElementChild),
      End: () => this.focus(lastWithin(this.list.lastElementChild)),
      Enter: () => this.toggle(item),
      " ": () => this.toggle(item),
    };
    if (!(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  }

  focus(item) {
    if (!item) return;
    this.list.querySelectorAll("[tabindex='0']").forEach((other) => other.setAttribute("tabindex", "-1"));
    item.setAttribute("tabindex", "0");
    item.focus({ preventScroll: true });
    item.firstChild.scrollIntoView({ block: "nearest" });
  }
}

function itemAfter(item, list) {
  if (item.ariaExpanded === "true") return item.lastChild.firstChild;
  for (let at = item; at && at !== list; at = at.parentElement.closest("li")) {
    if (at.nextElementSibling) return at.nextElementSibling;
  }
  return null;
}

function itemBefore(item) {
  return item.previousElementSibling && lastWithin(item.previousElementSibling);
}

function lastWithin(item) {
  while (item.ariaExpanded === "true") item = item.lastChild.lastChild;
  return item;
}

function rowElement(index, node, expandable) {
  const { row } = node;
  const bytes = index.bytes(node);
  const label = pathElement(expandable && !node.label.endsWith("/") ? `${node.label}/` : node.label);
  return element(
    "div",
    { class: "row" },
    label,
    " ",
    element(
      "span",
      { class: "badges" },
      ...(row ? rowBadges(row) : []),
      ...(expandable ? belowBadges(index, node) : []),
    ),
    element("span", { class: "amount" }, bytes > 0 ? ` ${byteSize(bytes)}` : ""),
  );
}

/** What a path is itself. */
function rowBadges({ bits, entry, owner, input, written }) {
  const found = [];
  if (bits & UNDECLARED) found.push(badge("undeclared", "bad"), owner && element("bdi", { class: "note" }, owner));
  if (bits & REFUSED) found.push(badge("refused", "bad"));
  if (bits & UNUSED) found.push(badge("not used", "warn"));
  if (input?.removable) found.push(badge("removable", "warn"));
  if (bits & HOST) found.push(badge("host file", "host"));
  if (written) found.push(element("span", { class: "note" }, `${byteSize(written.bytesWritten)} written`));
  if (entry) {
    found.push(badge(ENTRY_KINDS[entry.kind] ?? entry.kind, entry.kind === "fixed" ? "" : "host"));
    if (entry.used) found.push(element("span", { class: "note" }, `${counted(entry.filesRead, "file")} read`));
  }
  return found.flatMap((child) => (child ? [child, " "] : []));
}

/** How much there is below a directory. */
function belowBadges(index, node) {
  const below = { ...node, low: node.low + (node.row ? 1 : 0) };
  const texts = index.kinds(below).map(({ one, many, count }) => counted(count, one, many));
  return [element("span", { class: "note" }, `${texts.join(", ")} below`)];
}
