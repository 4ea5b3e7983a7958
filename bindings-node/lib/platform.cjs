// Where the native half is for this platform.
"use strict";

/** Every platform that a release has a package for: Rust's target → the package. */
const PACKAGES = {
  "x86_64-unknown-linux-gnu": "@tracebaton/linux-x64-gnu",
  "aarch64-unknown-linux-gnu": "@tracebaton/linux-arm64-gnu",
  "x86_64-unknown-linux-musl": "@tracebaton/linux-x64-musl",
  "aarch64-unknown-linux-musl": "@tracebaton/linux-arm64-musl",
  "x86_64-apple-darwin": "@tracebaton/darwin-x64",
  "aarch64-apple-darwin": "@tracebaton/darwin-arm64",
  "x86_64-pc-windows-msvc": "@tracebaton/win32-x64",
};

/** Returns the package that a release has for this platform, whether there is one or not. */
function platformPackage() {
  const { arch, platform, report } = process;
  if (platform !== "linux") return `@tracebaton/${platform}-${arch}`;
  // Node itself tells which C library it runs on; the network is none of this report's business.
  report.excludeNetwork = true;
  const libc = report.getReport().header.glibcVersionRuntime === undefined ? "musl" : "gnu";
  return `@tracebaton/linux-${arch}-${libc}`;
}

module.exports = { PACKAGES, platformPackage };
