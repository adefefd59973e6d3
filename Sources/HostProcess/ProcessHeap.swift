internal import CHostProcess

/// The memory that this process has from malloc(3).
public enum ProcessHeap {
    /// Gives the pages back to the kernel that nothing lies in.
    ///
    /// malloc keeps what was freed, and a start frees much: the bodies of lists and the netlink batch go through it once.
    /// It takes some milliseconds for a hundred megabytes, in which other threads wait when they allocate.
    public static func giveBack() { _ = malloc_trim(0) }
}
