import KubernetesWire

extension Reflector {
    enum Action: Sendable, Equatable {
        case request(ReflectorRequest)
        case pause(Duration)
    }

    /// Something to be told to people or counted.
    enum Note: Sendable, Equatable {
        /// A failure that wasn't told since all was well.
        case failing(verb: String, RequestFailure)
        /// All is well again, after as many failures.
        case recovered(failures: Int)
        case failed(RequestFailure)
        case absent
        /// A watch has to begin anew with all objects.
        case relisting(RequestFailure)
        /// A list lacks objects, but holds some whose names can't be told.
        case inDoubt
        case listed(objects: Int, took: Duration)
        case watching
    }

    /// What comes of a list or watch that has ended.
    enum End: Sendable, Equatable {
        /// A page of a list is complete.
        case page(ListMetadata)
        /// The body of a watch ended as it should.
        case clean
        case failure(RequestFailure)
    }
}
