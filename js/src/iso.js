/** Milliseconds since 1970 as Python writes them: always six digits and an offset. */
export function iso(ms) {
    const whole = Math.floor(ms);
    const micros = Math.floor((ms - whole) * 1000);
    const text = new Date(whole).toISOString().slice(0, -1);
    return `${text}${String(micros).padStart(3, '0')}+00:00`;
}
