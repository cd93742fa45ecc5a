// Bytes as text that JavaScript and HTML take as it is: four bytes in five characters, where base64
// takes five and a third.

/** The first of the 85 characters; those that a string or a page would misread are left out. */
const FIRST = 35;
const MISREAD = ['<', '\\'].map((character) => character.charCodeAt(0));

/** As many bytes as a multiple of four holds; the rest is zeros. */
export function encode(bytes) {
    let text = '';
    for (let at = 0; at < bytes.length; at += 4) {
        let value = 0;
        for (let i = 0; i < 4; i++) value = value * 256 + (bytes[at + i] ?? 0);
        let five = '';
        for (let i = 0; i < 5; i++, value = Math.floor(value / 85)) {
            let code = FIRST + (value % 85);
            for (const misread of MISREAD) if (code >= misread) code++;
            five = String.fromCharCode(code) + five;
        }
        text += five;
    }
    return text;
}

/** The bytes, and up to three zeros after them. */
export function decode(text) {
    const view = new DataView(new ArrayBuffer((text.length / 5) * 4));
    for (let at = 0; at < text.length; at += 5) {
        let value = 0;
        for (let i = 0; i < 5; i++) {
            const code = text.charCodeAt(at + i);
            value = value * 85 + code - FIRST - (code > MISREAD[0]) - (code > MISREAD[1]);
        }
        view.setUint32((at / 5) * 4, value);
    }
    return new Uint8Array(view.buffer);
}
