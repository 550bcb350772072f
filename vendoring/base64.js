/** Takes the place of Node's Buffer in packages that use it to decode base64. */
export const Buffer = { from: (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)) };
