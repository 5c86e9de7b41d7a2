"use strict";
// What each report's own script builds on. What the data holds was seen in a program that may hold
// anything: it gets into the page as text only, nothing here parses HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const count = (number) => number.toLocaleString("en");

/** Make an element. Attributes and children that are undefined are left out; children may be text. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== ""));
  return element;
}

