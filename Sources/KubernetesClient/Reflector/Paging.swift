/// Notices that the pages of a list lead nowhere.
struct Paging: Sendable {
    /// A server may send pages of which a selector leaves nothing (`limit` of `meta/v1 ListOptions`); etcd's store goes on
    /// by itself then. With 500 objects a page, these are 50,000 in a row.
    static let emptyPageLimit = 100

    private var token: String?
    private var objects = 0
    private var emptyPages = 0

    /// A page that isn't the last.
    ///
    /// - Parameters:
    ///   - objects: how many different ones all pages so far have brought.
    ///   - next: where the list goes on.
    /// - Returns: what is wrong; nil when nothing is.
    mutating func page(objects: Int, next: String) -> String? {
        guard next != token else { return "the list goes on where this page began" }
        token = next
        emptyPages = objects > self.objects ? 0 : emptyPages + 1
        self.objects = objects
        guard emptyPages < Self.emptyPageLimit else {
            return "\(emptyPages) pages in a row without a new object"
        }
        return nil
    }
}
