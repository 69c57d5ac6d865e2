// A description of the page, and the one function that makes the page be like it.
//
// Views return what they want to see as plain values, made by `h`; `render` compares that with what it rendered last and
// touches only what differs, so that focus, selection and scroll positions stay while figures change below them.
//
// Everything becomes a text node or an attribute. There is no way to put markup in: names, reasons and documents come
// from strangers.

const SVG = 'http://www.w3.org/2000/svg';

/** What has been rendered into an element: a list of {vnode, dom}. */
const kids = new WeakMap();
/** The present listeners of an element, by event. */
const listeners = new WeakMap();

/**
 * Describes an element.
 *
 * `props` are attributes, and: `key` (its identity among its siblings), `on` (listeners by event), `value` and `checked`
 * (of form fields: set when they change here, and else left to who types), `ref` (called once with the element).
 */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, key: props?.key, children };
}

/** Makes the inside of an element be these children. */
export function render(element, ...children) {
  const next = flat(children);
  const old = kids.get(element) ?? [];
  const taken = match(old, next);
  const now = next.map((vnode, at) => {
    const kid = taken[at];
    if (!kid) return { vnode, dom: create(vnode, element) };
    if (kid.vnode !== vnode) update(kid.dom, kid.vnode, vnode);
    return { vnode, dom: kid.dom };
  });
  const kept = new Set(now.map((kid) => kid.dom));
  for (const kid of old) if (!kept.has(kid.dom)) kid.dom.remove();
  let at = element.firstChild;
  for (const { dom } of now) {
    if (dom === at) at = at.nextSibling;
    else element.insertBefore(dom, at);
  }
  kids.set(element, now);
}

/** Strings and numbers are text; what is absent or a truth value is left out. */
function flat(children) {
  const found = [];
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || typeof child === 'boolean') continue;
    found.push(typeof child === 'object' ? child : String(child));
  }
  return found;
}

/** For each of `next`, what was rendered before and can become it. */
function match(old, next) {
  const keyed = new Map();
  const plain = [];
  for (const kid of old) {
    if (kid.vnode.key === undefined) plain.push(kid);
    else keyed.set(kid.vnode.key, kid);
  }
  return next.map((vnode) => {
    if (vnode.key === undefined) {
      return plain.length > 0 && same(plain[0].vnode, vnode) ? plain.shift() : takeFirst(plain, vnode);
    }
    const kid = keyed.get(vnode.key);
    keyed.delete(vnode.key);
    return kid && same(kid.vnode, vnode) ? kid : undefined;
  });
}

/** The first of the same kind; those before it have no place any more. */
function takeFirst(plain, vnode) {
  const at = plain.findIndex((kid) => same(kid.vnode, vnode));
  return at < 0 ? undefined : plain.splice(0, at + 1).pop();
}

const same = (one, other) =>
  typeof one === 'string' || typeof other === 'string' ? typeof one === typeof other : one.tag === other.tag;

function create(vnode, parent) {
  if (typeof vnode === 'string') return document.createTextNode(vnode);
  const drawing = vnode.tag === 'svg' || parent.namespaceURI === SVG;
  const element = drawing ? document.createElementNS(SVG, vnode.tag) : document.createElement(vnode.tag);
  update(element, undefined, vnode);
  vnode.props.ref?.(element);
  return element;
}

function update(dom, old, next) {
  if (typeof next === 'string') {
    if (dom.data !== next) dom.data = next;
    return;
  }
  // A select has its value only once it has the options.
  render(dom, ...next.children);
  const before = old?.props ?? {};
  for (const name of new Set([...Object.keys(before), ...Object.keys(next.props)])) {
    const value = next.props[name];
    if (name === 'on') listen(dom, value ?? {});
    else if (name === 'key' || name === 'ref') continue;
    else if (value !== before[name]) set(dom, name, value);
  }
}

function set(element, name, value) {
  if (name === 'value' || name === 'checked') {
    element[name] = value;
  } else if (value === null || value === undefined || value === false) {
    element.removeAttribute(name);
  } else {
    check(name, String(value));
    element.setAttribute(name, value === true ? '' : value);
  }
}

/** Attributes that would run something, or lead somewhere else, are a defect of the console. */
function check(name, value) {
  if (name === 'style' || name === 'srcdoc' || name.startsWith('on')) throw new Error(`attribute ${name}`);
  if ((name === 'href' || name === 'src') && !value.startsWith('#/') && !value.startsWith('api/v1/')) {
    throw new Error('a link that leads out');
  }
}

function listen(element, wanted) {
  let present = listeners.get(element);
  if (!present) listeners.set(element, (present = {}));
  for (const event of Object.keys(wanted)) {
    if (!(event in present)) element.addEventListener(event, (happened) => present[event]?.(happened));
  }
  for (const event of Object.keys(present)) present[event] = undefined;
  Object.assign(present, wanted);
}
