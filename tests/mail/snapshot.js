// The tree of a document as a list of [depth, kind, name, attributes, where it leads].

const CONDITION = /^\[if\b[^\]]*\]>/i;

function parsed(html) {
  return snapshot(new DOMParser().parseFromString(html, "text/html"));
}

function followed(url) {
  try {
    return new URL(url).href;
  } catch {
    return null;
  }
}

function snapshot(root, depth = 0, outlook = false) {
  const found = [];
  // Texts that stand side by side are one to a reader.
  const text = { depth: 0, data: "" };
  const flush = () => {
    if (text.data) found.push([text.depth, "text", text.data, {}, null]);
    text.data = "";
  };
  const visit = (node, depth) => {
    if (node.nodeType === Node.TEXT_NODE || node.nodeType === Node.CDATA_SECTION_NODE) {
      if (text.depth !== depth) flush();
      text.depth = depth;
      text.data += node.data;
      return;
    }
    flush();
    if (node.nodeType === Node.COMMENT_NODE) return comment(node.data, depth);
    if (node.nodeType === Node.DOCUMENT_TYPE_NODE) {
      found.push([depth, "doctype", [node.name, node.publicId, node.systemId].join(" "), {}, null]);
      return;
    }
    if (node.nodeType === Node.ELEMENT_NODE) element(node, depth);
    if (node.localName === "noscript" && !node.firstElementChild) {
      // Where scripts may run it holds text, which is a document to those who run none.
      const inner = new DOMParser().parseFromString(node.textContent, "text/html");
      for (const one of snapshot(inner, depth + 1)) found.push(one);
      return;
    }
    for (const child of node.childNodes) visit(child, depth + 1);
    flush();
    if (node.localName === "template" && node.content) {
      for (const child of node.content.childNodes) visit(child, depth + 2);
      flush();
    }
  };
  const element = (node, depth) => {
    const attributes = {};
    for (const one of node.attributes) attributes[(one.namespaceURI ?? "") + " " + one.name] = one.value;
    found.push([depth, "element", node.namespaceURI + " " + node.localName, attributes, opened(node, outlook)]);
  };
  // Outlook shows what conditional comments hold: it is a document in the document.
  const comment = (data, depth) => {
    const condition = outlook ? null : CONDITION.exec(data);
    if (!condition) return void found.push([depth, "comment", data, {}, null]);
    found.push([depth, "comment", condition[0], {}, null]);
    const inner = new DOMParser().parseFromString(data.slice(condition[0].length), "text/html");
    for (const one of snapshot(inner, depth + 1, true)) found.push(one);
  };
  visit(root, depth);
  return found;
}

function opened(node, outlook) {
  if (node.localName !== "a" && node.localName !== "area" && !(outlook && node.localName.startsWith("v:"))) return null;
  const href = node.getAttributeNS(null, "href");
  if (href === null) return null;
  if (node.namespaceURI === "http://www.w3.org/1999/xhtml" && "href" in node) return node.href;
  // Links of SVG and of Outlook do not say it themselves.
  const link = node.ownerDocument.createElement("a");
  link.setAttribute("href", href);
  return link.href;
}
