// A description of the page, and the one function that makes the page be like it.
//
// Views return what they want to see as plain values, made by `h`; `render` compares that with what it rendered last and
// touches only what differs, so that focus, selection and scroll positions stay while figures change below them.
//
// Everything becomes a text node or an attribute. There is no way to put markup in: names, reasons and documents come
// from strangers.

const SVG = 'http://www.w3.org/2000/svg';

/** What has been rendered into an element: {vnode, dom} by place. */
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
  const old = kids.get(element) ?? new Map();
  const now = new Map();
  for (const [place, vnode] of placed(children)) {
    const kid = old.get(place);
    const stays = kid !== undefined && same(kid.vnode, vnode);
    const dom = stays ? kid.dom : create(vnode, element);
    if (stays && kid.vnode !== vnode) update(dom, kid.vnode, vnode);
    now.set(place, { vnode, dom });
  }
  for (const [place, { dom }] of old) if (now.get(place)?.dom !== dom) dom.remove();
  let at = element.firstChild;
  for (const { dom } of now.values()) {
    if (dom === at) at = at.nextSibling;
    else element.insertBefore(dom, at);
  }
  kids.set(element, now);
}

/**
 * The children with what each is known by: its key, or where it stands. What is absent or a truth value is left out and
 * keeps its place: a button never becomes the one beside it, not even between a finger's going down and up.
 */
function* placed(children, within = '') {
  for (const [index, child] of children.entries()) {
    if (child === null || child === undefined || typeof child === 'boolean') continue;
    if (Array.isArray(child)) yield* placed(child, `${within}${index}/`);
    else if (typeof child === 'object') yield [`${within}${child.key === undefined ? index : `#${child.key}`}`, child];
    else yield [`${within}${index}`, String(child)];
  }
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
