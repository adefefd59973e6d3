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
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        .systemLibrary(
            name: "CNetfilter", pkgConfig: "libnftnl",
            providers: [.apt(["libnftnl-dev", "libmnl-dev"])]),
        .target(name: "IPAddressing", swiftSettings: strict),
        .target(name: "NFTables", swiftSettings: strict),
        .target(name: "Netlink", dependencies: ["CNetfilter"], swiftSettings: strict),
        .target(
            name: "NFTablesKernel", dependencies: ["NFTables", "Netlink", "CNetfilter"],
            swiftSettings: strict),
        .target(
            name: "Conntrack", dependencies: ["Netlink", "IPAddressing", "CNetfilter"],
            swiftSettings: strict),
        .target(
            name: "HostNetwork", dependencies: ["IPAddressing", "CNetfilter"], swiftSettings: strict),
        .target(
            name: "HealthChecks",
            dependencies: [
                "KubernetesAPI", "IPAddressing",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ], swiftSettings: strict),
        .target(name: "KubernetesAPI", dependencies: ["IPAddressing"], swiftSettings: strict),
        .target(
            name: "Manifests",
            dependencies: ["KubernetesAPI", "IPAddressing", .product(name: "Yams", package: "Yams")],
            swiftSettings: strict),
        .target(
            name: "ServiceModel", dependencies: ["KubernetesAPI", "IPAddressing"], swiftSettings: strict),
        .target(
            name: "Ruleset", dependencies: ["ServiceModel", "NFTables", "KubernetesAPI", "IPAddressing"],
            swiftSettings: strict),
        .target(
            name: "Agent",
            dependencies: [
                "Ruleset", "ServiceModel", "NFTables", "NFTablesKernel", "Conntrack", "HostNetwork",
                "HealthChecks", "KubernetesAPI", "IPAddressing",
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: strict),
        .executableTarget(
            name: "sluice",
            dependencies: [
                "Agent", "Manifests", "Ruleset", "NFTables", "NFTablesKernel", "KubernetesAPI",
                "IPAddressing",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: strict),
        .target(name: "CTestNetwork", path: "Tests/Support/CTestNetwork"),
        .target(
            name: "TestNetwork", dependencies: ["CTestNetwork", "IPAddressing"],
            path: "Tests/Support/TestNetwork", swiftSettings: strict),
        .target(
            name: "ClusterGenerator", dependencies: ["KubernetesAPI", "IPAddressing"],
            path: "Benchmarks/ClusterGenerator", swiftSettings: strict),
        .executableTarget(
            name: "ProgrammingBenchmark",
            dependencies: [
                "ClusterGenerator", "Agent", "Manifests", "Ruleset", "ServiceModel", "NFTables",
                "NFTablesKernel",
                "KubernetesAPI", "IPAddressing", "TestNetwork",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Benchmarks/ProgrammingBenchmark", swiftSettings: strict),
        .target(
            name: "FakeKernel", dependencies: ["Agent", "NFTables", "NFTablesKernel"],
            path: "Tests/Support/FakeKernel", swiftSettings: strict),
        .testTarget(
            name: "AgentTests",
            dependencies: [
                "SeededRandom",
                "Agent", "FakeKernel", "TestNetwork", "Ruleset", "ServiceModel", "NFTables", "NFTablesKernel",
                "Conntrack",
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
                "KubernetesAPI", "IPAddressing", "TestNetwork", "ClusterBuilders",
            ], swiftSettings: strict),
        .testTarget(
            name: "KubernetesAPITests", dependencies: ["KubernetesAPI", "IPAddressing"],
            swiftSettings: strict),
        .testTarget(
            name: "ManifestsTests",
            dependencies: ["SeededRandom", "Manifests", "KubernetesAPI", "IPAddressing"],
            swiftSettings: strict),
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
            name: "HealthChecksTests", dependencies: ["HealthChecks", "KubernetesAPI", "IPAddressing"],
            swiftSettings: strict),
        .testTarget(
            name: "TestNetworkTests", dependencies: ["TestNetwork", "IPAddressing"],
            swiftSettings: strict),
    ]
)
