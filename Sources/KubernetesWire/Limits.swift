/// The most bytes one object may have, in a list or a watch: 16 MiB.
///
/// An API server takes no object of more than 3 MiB, and etcd by default none of more than 1.5 MiB. In
/// JSON the same object is two to three times as long as in protobuf.
let objectSizeLimit = 16 << 20

/// The deepest nesting of JSON. Kubernetes' objects are about 15 deep, `managedFields` included.
let depthLimit = 100

/// What every protobuf body of Kubernetes begins with, and every object in a watch.
let protobufMagic: [UInt8] = [0x6b, 0x38, 0x73, 0x00]

extension [UInt8] {
    /// `withUnsafeBytes` of the standard library doesn't keep an error's type.
    func withBytes<Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) {
        let result = withUnsafeBytes { bytes in
            Result { () throws(Failure) in try body(bytes) }
        }
        try result.get()
    }

    /// Empties a buffer that is used again, and gives back what a rare large object took.
    mutating func clear() { removeAll(keepingCapacity: capacity <= 1 << 20) }
}
