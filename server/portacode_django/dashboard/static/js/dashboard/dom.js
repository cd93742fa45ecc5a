/** Elements with as little ceremony as possible. Text is always text, never markup. */

const SVG = 'http://www.w3.org/2000/svg';

export const byId = (id) => document.getElementById(id);

/** `element('p', { class: 'quiet' }, 'text', child)`. */
export function element(name, attributes = {}, ...children) {
    return filled(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
    return filled(document.createElementNS(SVG, name), attributes, children);
}

/** Sets text only where it differs, so that nothing is laid out again without a change. */
export function setText(node, text) {
    if (node.textContent !== text) node.textContent = text;
}

function filled(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (value === true) node.setAttribute(name, '');
        else if (value !== false && value !== null) node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
}
