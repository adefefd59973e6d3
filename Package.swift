// swift-tools-version: 6.1
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "sluice",
    products: [
        .executable(name: "sluice", targets: ["sluice"]),
        .library(name: "NFTables", targets: ["NFTables", "NFTablesKernel"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
    ],
    targets: [
        .systemLibrary(
            name: "CNetfilter", pkgConfig: "libnftnl",
            providers: [.apt(["libnftnl-dev", "libmnl-dev"])]),
        .target(name: "IPAddressing", swiftSettings: strict),
        .target(name: "NFTables", swiftSettings: strict),
        .target(name: "Netlink", dependencies: ["CNetfilter"], swiftSettings: strict),
        .target(name: "HostFiles", swiftSettings: strict),
        .target(
            name: "NFTablesKernel", dependencies: ["NFTables", "Netlink", "CNetfilter", "HostFiles"],
            swiftSettings: strict),
        .target(name: "XTables", dependencies: ["Netlink", "IPAddressing"], swiftSettings: strict),
        .target(
            name: "KubeProxyLeftovers",
            dependencies: [
                "ServiceModel", "NFTables", "NFTablesKernel", "XTables", "KubernetesAPI", "IPAddressing",
            ],
            exclude: ["README.md"], swiftSettings: strict),
        .target(
            name: "ProxyConfiguration",
            dependencies: [
                "Agent", "Documents", "FileWatching", "HostNetwork", "IPAddressing",
                .product(name: "Yams", package: "Yams"),
            ], swiftSettings: strict),
        .target(
            name: "KubeProxyFlags",
            dependencies: [
                "ProxyConfiguration", "Documents",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        .target(
            name: "Conntrack", dependencies: ["Netlink", "IPAddressing", "CNetfilter"],
            swiftSettings: strict),
        .target(
            name: "HostNetwork", dependencies: ["IPAddressing", "CNetfilter"], swiftSettings: strict),
        .systemLibrary(name: "CHostProcess"),
        .target(name: "HostProcess", dependencies: ["CHostProcess"], swiftSettings: strict),
        .target(
            name: "HTTPServing",
            dependencies: [
                "IPAddressing",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ], swiftSettings: strict),
        .target(
            name: "HealthChecks", dependencies: ["HTTPServing", "KubernetesAPI", "IPAddressing"],
            swiftSettings: strict),
        .target(
            name: "StatusServers",
            dependencies: [
                "HTTPServing", "PrometheusMetrics", "IPAddressing",
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: strict),
        .target(name: "PrometheusMetrics", exclude: ["README.md"], swiftSettings: strict),
        .target(name: "KubernetesAPI", dependencies: ["IPAddressing"], swiftSettings: strict),
        // Of Yams, the parser of events below it.
        .target(
            name: "Documents", dependencies: [.product(name: "Yams", package: "Yams")],
            swiftSettings: strict),
        .target(name: "FileWatching", swiftSettings: strict),
        .target(
            name: "ObjectReading", dependencies: ["Documents", "KubernetesAPI", "IPAddressing"],
            swiftSettings: strict),
        .target(
            name: "Manifests",
            dependencies: [
                "ObjectReading", "Documents", "FileWatching", "KubernetesAPI", "IPAddressing",
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: strict),
        .target(
            name: "KubernetesWire",
            dependencies: [
                "ObjectReading", "Documents", "KubernetesAPI", "IPAddressing",
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ], exclude: ["Protobuf", "Generated/README.md"], swiftSettings: strict),
        .target(
            name: "KubernetesClient",
            dependencies: [
                "KubernetesWire", "KubernetesAPI", "Documents", "IPAddressing",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "Yams", package: "Yams"),
            ], swiftSettings: strict),
        .target(
            name: "ServiceModel", dependencies: ["KubernetesAPI", "IPAddressing"], swiftSettings: strict),
        .target(
            name: "Ruleset", dependencies: ["ServiceModel", "NFTables", "KubernetesAPI", "IPAddressing"],
            swiftSettings: strict),
        .target(
            name: "Agent",
            dependencies: [
                "Ruleset", "ServiceModel", "NFTables", "NFTablesKernel", "Conntrack", "HostNetwork",
                "HealthChecks", "KubeProxyLeftovers", "StatusServers", "PrometheusMetrics", "KubernetesAPI",
                "IPAddressing",
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: strict),
        .target(
            name: "NodeChecks",
            dependencies: ["Agent", "Ruleset", "NFTables", "NFTablesKernel", "IPAddressing"],
            exclude: ["README.md"], swiftSettings: strict),
        .target(
            name: "NodeInspection",
            dependencies: [
                "NodeChecks", "Agent", "Ruleset", "ServiceModel", "Conntrack", "HostNetwork", "HostProcess",
                "HostFiles", "NFTables", "NFTablesKernel", "KubernetesAPI", "IPAddressing",
            ], swiftSettings: strict),
        .executableTarget(
            name: "sluice",
            dependencies: [
                "NodeChecks", "NodeInspection",
                "Agent", "ProxyConfiguration", "KubeProxyFlags", "FileWatching", "HostNetwork", "HostProcess",
                "HostFiles", "KubernetesClient", "KubernetesWire", "Manifests", "HealthChecks", "Conntrack",
                "KubeProxyLeftovers", "PrometheusMetrics",
                "StatusServers", "Ruleset", "NFTables", "NFTablesKernel", "KubernetesAPI", "IPAddressing",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], swiftSettings: strict),
        .target(name: "CTestNetwork", path: "Tests/Support/CTestNetwork"),
        .target(
            name: "TestNetwork", dependencies: ["CTestNetwork", "IPAddressing"],
            path: "Tests/Support/TestNetwork", swiftSettings: strict),
        .target(
            name: "TemporaryFiles", path: "Tests/Support/TemporaryFiles", swiftSettings: strict),
        .target(
            name: "TestAPIServer",
            dependencies: [
                "TemporaryFiles", "KubernetesAPI", "IPAddressing",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
            ], path: "Tests/Support/TestAPIServer", swiftSettings: strict),
        .target(
            name: "ClusterGenerator", dependencies: ["KubernetesAPI", "IPAddressing"],
            path: "Benchmarks/ClusterGenerator", swiftSettings: strict),
        .executableTarget(
            name: "ClusterAPIServer",
            dependencies: [
                "ClusterGenerator", "TestAPIServer", "KubernetesAPI",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Benchmarks/ClusterAPIServer", swiftSettings: strict),
        .executableTarget(
            name: "ProgrammingBenchmark",
            dependencies: [
                "BenchmarkSupport", "ClusterGenerator", "Agent", "HostProcess", "Manifests", "Ruleset",
                "ServiceModel", "NFTables", "NFTablesKernel", "KubernetesAPI", "IPAddressing", "TestNetwork",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ], path: "Benchmarks/ProgrammingBenchmark", swiftSettings: strict),
        .target(
            name: "BenchmarkSupport",
            dependencies: [.product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Benchmarks/BenchmarkSupport", swiftSettings: strict),
        .target(name: "CPacketLoad", path: "Benchmarks/CPacketLoad"),
        .executableTarget(
            name: "PacketBenchmark",
            dependencies: [
                "BenchmarkSupport", "CPacketLoad", "CTestNetwork", "ClusterGenerator", "Agent", "HostNetwork",
                "NFTables", "NFTablesKernel", "KubernetesAPI", "IPAddressing", "TemporaryFiles",
                "TestAPIServer",
                "TestNetwork",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Benchmarks/PacketBenchmark", swiftSettings: strict),
        .target(
            name: "WireBodies", dependencies: ["ClusterGenerator", "KubernetesAPI", "IPAddressing"],
            path: "Tests/Support/WireBodies", swiftSettings: strict),
        .executableTarget(
            name: "FloorProgram", dependencies: ["CNetfilter"], path: "Benchmarks/FloorProgram",
            linkerSettings: [.linkedLibrary("nftnl"), .linkedLibrary("mnl")]),
        .target(name: "CAllocationCount", path: "Benchmarks/CAllocationCount"),
        .executableTarget(
            name: "MicroBenchmark",
            dependencies: [
                "BenchmarkSupport", "CAllocationCount", "HostProcess", "ClusterGenerator", "WireBodies",
                "Agent", "Ruleset",
                "ServiceModel", "NFTables", "NFTablesKernel", "KubernetesWire", "KubernetesAPI",
                "IPAddressing",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Benchmarks/MicroBenchmark", swiftSettings: strict),
        .executableTarget(
            name: "DecodingBenchmark",
            dependencies: [
                "BenchmarkSupport", "WireBodies", "ClusterGenerator", "KubernetesWire", "ObjectReading",
                "KubernetesAPI",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Benchmarks/DecodingBenchmark", swiftSettings: strict),
        .target(
            name: "FakeKernel", dependencies: ["Agent", "NFTables", "NFTablesKernel"],
            path: "Tests/Support/FakeKernel", swiftSettings: strict),
        .testTarget(
            name: "AgentTests",
            dependencies: [
                "SeededRandom",
                "Agent", "FakeKernel", "TestNetwork", "Ruleset", "ServiceModel", "NFTables", "NFTablesKernel",
                "Conntrack", "HealthChecks", "StatusServers", "PrometheusMetrics",
                "KubernetesAPI", "IPAddressing", .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: strict),
        .testTarget(
            name: "RulesetTests",
            dependencies: [
                "SeededRandom",
                "Ruleset", "FakeKernel", "ServiceModel", "NFTables", "KubernetesAPI", "IPAddressing",
            ], swiftSettings: strict),
        .testTarget(
            name: "ServiceModelTests", dependencies: ["ServiceModel", "KubernetesAPI", "IPAddressing"],
            swiftSettings: strict),
        .target(name: "SeededRandom", path: "Tests/Support/SeededRandom", swiftSettings: strict),
        .target(
            name: "ClusterBuilders", dependencies: ["KubernetesAPI", "IPAddressing"],
            path: "Tests/Support/ClusterBuilders", swiftSettings: strict),
        .target(
            name: "PacketCases",
            dependencies: ["ClusterBuilders", "Agent", "HostNetwork", "KubernetesAPI", "IPAddressing"],
            path: "Tests/Support/PacketCases", swiftSettings: strict),
        .testTarget(
            name: "FateTests",
            dependencies: [
                "SeededRandom",
                "Agent", "HostNetwork", "NFTables", "NFTablesKernel", "KubernetesAPI", "IPAddressing",
                "ClusterBuilders", "PacketCases", "PacketSimulator", "TestNetwork",
            ], swiftSettings: strict),
        .testTarget(
            name: "DataplaneTests",
            dependencies: [
                "SeededRandom",
                // Run as a program, not imported.
                "sluice",
                "Agent", "Conntrack", "HostNetwork", "Manifests", "Ruleset", "NFTables", "NFTablesKernel",
                "KubernetesAPI", "IPAddressing", "TestNetwork", "ClusterBuilders", "Deployment",
                "TestAPIServer", "TemporaryFiles", "PrometheusMetrics",
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: strict),
        .testTarget(
            name: "SluiceTests",
            dependencies: [
                "sluice", "Agent", "KubernetesClient", "KubernetesWire", "KubernetesAPI", "IPAddressing",
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: strict),
        .target(
            name: "Deployment", dependencies: [.product(name: "Yams", package: "Yams")],
            path: "Tests/Support/Deployment", swiftSettings: strict),
        .testTarget(name: "DeploymentTests", dependencies: ["Deployment"], swiftSettings: strict),
        .testTarget(
            name: "KubernetesAPITests", dependencies: ["SeededRandom", "KubernetesAPI", "IPAddressing"],
            swiftSettings: strict),
        .testTarget(
            name: "KubernetesClientTests",
            dependencies: [
                "SeededRandom", "TestAPIServer", "TemporaryFiles", "KubernetesClient", "KubernetesWire",
                "KubernetesAPI",
                "IPAddressing",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ], swiftSettings: strict),
        .testTarget(
            name: "KubernetesWireTests",
            dependencies: [
                "Fuzzing", "SeededRandom", "WireBodies", "KubernetesWire", "ObjectReading", "Manifests",
                "KubernetesAPI",
                "IPAddressing",
            ], swiftSettings: strict),
        .testTarget(
            name: "ManifestsTests",
            dependencies: ["Manifests", "FileWatching", "KubernetesAPI", "IPAddressing"],
            swiftSettings: strict),
        .testTarget(
            name: "ProxyConfigurationTests",
            dependencies: [
                "SeededRandom", "Deployment", "TemporaryFiles", "ProxyConfiguration", "KubeProxyFlags",
                "Agent", "Documents",
                "HostNetwork",
                "IPAddressing", "Ruleset",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        .testTarget(
            name: "NFTablesTests", dependencies: ["SeededRandom", "NFTables"], swiftSettings: strict),
        .target(
            name: "PacketSimulator", dependencies: ["NFTables", "IPAddressing"],
            path: "Tests/Support/PacketSimulator", swiftSettings: strict),
        .testTarget(
            name: "PacketSimulatorTests", dependencies: ["PacketSimulator", "NFTables", "IPAddressing"],
            swiftSettings: strict),
        .target(
            name: "Oracle", dependencies: ["KubernetesAPI", "IPAddressing"],
            path: "Tests/Support/Oracle", swiftSettings: strict),
        .testTarget(
            name: "OracleTests",
            dependencies: [
                "Oracle", "PacketSimulator", "FakeKernel", "SeededRandom", "TestNetwork", "Agent",
                "HostNetwork",
                "Manifests", "Ruleset", "ServiceModel", "NFTables", "NFTablesKernel", "KubernetesAPI",
                "IPAddressing",
            ], swiftSettings: strict),
        .target(
            name: "Fuzzing", dependencies: ["SeededRandom"], path: "Tests/Support/Fuzzing",
            swiftSettings: strict),
        .testTarget(
            name: "FuzzTests",
            dependencies: [
                "Fuzzing", "SeededRandom", "TestNetwork", "TemporaryFiles", "Documents", "IPAddressing",
                "KubernetesAPI", "Manifests", "ProxyConfiguration", "KubeProxyFlags", "KubernetesClient",
                "NFTables", "NFTablesKernel", "Netlink", "Conntrack", "HostNetwork", "Agent", "Ruleset",
                "ServiceModel",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        .testTarget(
            name: "SecurityTests",
            dependencies: [
                "sluice", "PacketSimulator", "SeededRandom", "TemporaryFiles", "TestNetwork", "Agent",
                "HostNetwork", "IPAddressing", "KubernetesAPI", "Manifests", "NFTables", "NFTablesKernel",
                "Ruleset", "ServiceModel", "StatusServers", "ProxyConfiguration",
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: strict),
        .testTarget(
            name: "KubeProxyLeftoversTests",
            dependencies: [
                "KubeProxyLeftovers", "ServiceModel", "NFTables", "NFTablesKernel", "KubernetesAPI",
                "IPAddressing",
                "TestNetwork",
            ], swiftSettings: strict),
        .testTarget(
            name: "XTablesTests",
            dependencies: ["XTables", "Netlink", "SeededRandom", "IPAddressing", "TestNetwork"],
            swiftSettings: strict),
        .testTarget(
            name: "NFTablesKernelTests", dependencies: ["NFTables", "NFTablesKernel", "TestNetwork"],
            swiftSettings: strict),
        .testTarget(
            name: "ConntrackTests",
            dependencies: ["Conntrack", "Netlink", "TestNetwork", "IPAddressing"], swiftSettings: strict),
        .testTarget(
            name: "HostNetworkTests", dependencies: ["HostNetwork", "TestNetwork", "IPAddressing"],
            swiftSettings: strict),
        .testTarget(
            name: "NodeChecksTests",
            dependencies: [
                "NodeChecks", "NodeInspection", "Agent", "NFTables", "NFTablesKernel", "IPAddressing",
            ], swiftSettings: strict),
        .testTarget(
            name: "HostProcessTests", dependencies: ["HostProcess", "TestNetwork"], swiftSettings: strict),
        .testTarget(
            name: "HealthChecksTests",
            dependencies: ["HealthChecks", "HTTPServing", "RawHTTP", "KubernetesAPI", "IPAddressing"],
            swiftSettings: strict),
        .target(
            name: "RawHTTP", dependencies: ["IPAddressing"], path: "Tests/Support/RawHTTP",
            swiftSettings: strict),
        .testTarget(
            name: "PrometheusMetricsTests", dependencies: ["PrometheusMetrics"], swiftSettings: strict),
        .testTarget(
            name: "StatusServersTests",
            dependencies: [
                "StatusServers", "HTTPServing", "RawHTTP", "IPAddressing",
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: strict),
        .testTarget(
            name: "TestAPIServerTests",
            dependencies: [
                "TestAPIServer", "TemporaryFiles", "TestNetwork", "KubernetesAPI", "IPAddressing",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "BenchmarkTests",
            dependencies: [
                // Run as programs, not imported.
                "sluice", "ClusterAPIServer", "FloorProgram", "MicroBenchmark", "PacketBenchmark",
                "ProgrammingBenchmark",
                "TemporaryFiles", "TestNetwork",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "PacketBenchmarkTests",
            dependencies: [
                "BenchmarkSupport", "PacketBenchmark", "ClusterGenerator", "IPAddressing", "KubernetesAPI",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "TestNetworkTests", dependencies: ["TestNetwork", "IPAddressing"],
            swiftSettings: strict),
    ]
)
