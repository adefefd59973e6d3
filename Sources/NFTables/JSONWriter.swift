/// Writes JSON (RFC 8259) piece by piece; the commas between members come by themselves.
struct JSONWriter {
    private var buffer = TextBuffer()
    /// Whether a value or member stands before the next one, for each open object or array.
    private var needsComma: [Bool] = [false]

    private mutating func separate() {
        if needsComma[needsComma.count - 1] { buffer += "," }
        needsComma[needsComma.count - 1] = true
    }

    mutating func object(_ body: (inout JSONWriter) -> Void) {
        beginObject()
        body(&self)
        endObject()
    }

    mutating func array(_ body: (inout JSONWriter) -> Void) {
        beginArray()
        body(&self)
        endArray()
    }

    // The halves are for what is long and drained in between.

    mutating func beginObject() {
        separate()
        buffer += "{"
        needsComma.append(false)
    }

    mutating func endObject() {
        needsComma.removeLast()
        buffer += "}"
    }

    mutating func beginArray() {
        separate()
        buffer += "["
        needsComma.append(false)
    }

    mutating func endArray() {
        needsComma.removeLast()
        buffer += "]"
    }

    /// The name of a member; the value comes next.
    mutating func key(_ name: StaticString) {
        separate()
        buffer += "\""
        buffer += name
        buffer += "\":"
        needsComma[needsComma.count - 1] = false
    }

    /// `"name": {…}`
    mutating func member(_ name: StaticString, _ body: (inout JSONWriter) -> Void) {
        key(name)
        object(body)
    }

    mutating func member(_ name: StaticString, _ text: String) {
        key(name)
        string(text)
    }

    mutating func member(_ name: StaticString, number: some BinaryInteger) {
        key(name)
        self.number(number)
    }

    mutating func null(_ name: StaticString) {
        key(name)
        separate()
        buffer += "null"
    }

    mutating func number(_ value: some BinaryInteger) {
        separate()
        buffer.append(number: value)
    }

    mutating func string(_ text: String) { string(bytes: text.utf8) }

    /// A string of what `body` writes.
    mutating func string(_ body: (inout TextBuffer) -> Void) {
        var text = TextBuffer(short: ())
        body(&text)
        string(bytes: text.bytes)
    }

    private mutating func string(bytes: some Sequence<UInt8>) {
        separate()
        buffer += "\""
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""): buffer += "\\\""
            case UInt8(ascii: "\\"): buffer += "\\\\"
            case 0..<32:
                buffer += "\\u"
                buffer.append(hex: UInt64(byte), digits: 4)
            default: buffer.append(byte)
            }
        }
        buffer += "\""
    }

    mutating func line() { buffer += "\n" }

    mutating func drain(to output: inout some TextOutputStream, force: Bool = false) {
        buffer.drain(to: &output, force: force)
    }
}
