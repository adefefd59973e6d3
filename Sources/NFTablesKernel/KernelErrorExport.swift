// The error that this library throws is shared with its siblings over netlink; who imports this library has it.
@_exported public import Netlink
