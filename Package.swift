// swift-tools-version: 6.1
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "sluice",
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        .systemLibrary(
            name: "CNetfilter", pkgConfig: "libnftnl",
            providers: [.apt(["libnftnl-dev", "libmnl-dev"])]),
        .target(name: "IPAddressing", swiftSettings: strict),
        .target(name: "KubernetesAPI", dependencies: ["IPAddressing"], swiftSettings: strict),
        .target(
            name: "Manifests",
            dependencies: ["KubernetesAPI", "IPAddressing", .product(name: "Yams", package: "Yams")],
            swiftSettings: strict),
        .testTarget(
            name: "ManifestsTests", dependencies: ["Manifests", "KubernetesAPI", "IPAddressing"],
            swiftSettings: strict),
        .testTarget(
            name: "KubernetesAPITests", dependencies: ["KubernetesAPI", "IPAddressing"],
            swiftSettings: strict),
    ]
)
