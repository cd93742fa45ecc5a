// What a trace carries of the links between its counters.

import { TraceError, counterNs, number, object, own, scopedCounter } from './trace-parts.js';

export const LINKS_MAX = 8;
// What 63 bits hold; what is more than a quarter is no rate of a counter.
const SPAN_NS = 2 ** 63;
const RATE_PPB = 2.5e8;

/** The links of a trace's message. */
export function linksOf(value) {
    if (value === null || value === undefined) return [];
    if (!Array.isArray(value)) throw new TraceError('trace.links is not a list');
    if (value.length > LINKS_MAX) {
        throw new TraceError(`trace has ${value.length} links, and ${LINKS_MAX} are the most`);
    }
    const links = [];
    value.forEach((link, place) => putLink(links, linkOf(link, `trace.links[${place}]`)));
    return links;
}

/** Adds one in the place of an earlier one of the same two counters. */
export function putLink(links, link) {
    const place = links.findIndex((other) => sameCounters(other, link));
    if (place >= 0) links.splice(place, 1);
    if (links.length >= LINKS_MAX) {
        throw new TraceError(`a trace has ${LINKS_MAX} links at the most`);
    }
    links.push(link);
}

/** Whether two links are of the same two counters. */
export function sameCounters(one, other) {
    const alike = one.a === other.a && one.b === other.b;
    return alike || (one.a === other.b && one.b === other.a);
}

/** A link as docs/TRACE.md has it, of nothing but what is known; sound, or a TraceError. */
export function linkOf(value, where) {
    if (value === null || value === undefined || Array.isArray(value)) {
        throw new TraceError(`${where} is not an object`);
    }
    const members = object(value, where);
    const member = (name) => own(members, name);
    const named = (name) => scopedCounter(member(name), `${where}.${name}`, null);
    const moment = (name) => counterNs(member(name), `${where}.${name}`);
    const span = (name, least) => number(member(name), `${where}.${name}`, SPAN_NS, least);
    const link = { a: named('a'), b: named('b') };
    if (link.a === link.b) throw new TraceError(`${where} is between a counter and itself`);
    for (const name of ['a_ns', 'b_ns']) link[name] = moment(name);
    for (const name of ['lower_ns', 'upper_ns', 'est_ns']) link[name] = span(name, -SPAN_NS);
    for (const name of ['est_error_ns', 'round_trip_ns']) link[name] = span(name, 0);
    checkSides([link.lower_ns, link.upper_ns], where);
    const { lower_ns: lower, est_ns: est, upper_ns: upper } = link;
    if (est !== null && ((lower ?? est) > est || (upper ?? est) < est)) {
        throw new TraceError(`${where}.est_ns is not between its bounds`);
    }
    if (link.lower_ns === null && link.upper_ns === null) {
        throw new TraceError(`${where} has neither lower_ns nor upper_ns`);
    }
    if ((link.est_ns === null) !== (link.est_error_ns === null)) {
        throw new TraceError(`${where} has one of est_ns and est_error_ns alone`);
    }
    link.rate_ppb = pair(member('rate_ppb'), `${where}.rate_ppb`, RATE_PPB);
    if (link.rate_ppb.includes(null)) throw new TraceError(`${where}.rate_ppb is not two numbers`);
    link.exchanges_ns = pair(member('exchanges_ns'), `${where}.exchanges_ns`, SPAN_NS);
    return link;
}

function pair(value, where, most) {
    if (value === null || value === undefined) return [null, null];
    if (!Array.isArray(value) || value.length !== 2) {
        throw new TraceError(`${where} is not two numbers`);
    }
    const sides = value.map((side) => number(side, where, most, -most));
    checkSides(sides, where);
    return sides;
}

function checkSides([lower, upper], where) {
    if (lower !== null && upper !== null && lower > upper) {
        throw new TraceError(`${where} has a lower bound above its upper one`);
    }
}
