"""Conan 2 recipe of libphc: takes the library from the release's tarballs, and compiles nothing.

conandata.yml has the URL and hash of each platform. With shared=False the archive needs no other package. The C
library is an option, because Conan has no setting for it.
"""
import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.files import copy, get

required_conan_version = ">=2.0"


class LibphcConan(ConanFile):
    name = "libphc"
    version = "@VERSION@"
    package_type = "library"
    license = "MIT"
    url = "https://github.com/PostHog/libphc"
    homepage = "https://github.com/PostHog/libphc"
    description = "Event delivery for PostHog: batches, compresses, sends and retries in the background"
    topics = ("posthog", "analytics", "events", "pre-built")
    settings = "os", "arch"
    options = {"shared": [True, False], "libc": ["gnu", "musl"]}
    default_options = {"shared": False, "libc": "gnu"}

    def config_options(self):
        if self.settings.os != "Linux":
            del self.options.libc

    def _platform(self):
        arch = {"x86_64": "x86_64", "armv8": "aarch64"}.get(str(self.settings.arch), str(self.settings.arch))
        system = {"Linux": f"linux-{self.options.get_safe('libc')}", "Windows": "windows", "Macos": "macos"}
        return f"{arch}-{system.get(str(self.settings.os), str(self.settings.os).lower())}"

    def validate(self):
        platforms = self.conan_data["sources"][self.version]
        if self._platform() not in platforms:
            raise ConanInvalidConfiguration(
                f"this release of libphc has no library for {self._platform()}; it has {', '.join(platforms)}")
        if self._platform() in self.conan_data["unproved"]:
            self.output.warning(f"libphc was built and linked for {self._platform()}, and never run there")

    def build(self):
        get(self, **self.conan_data["sources"][self.version][self._platform()], strip_root=True)

    def package(self):
        source, package = self.build_folder, self.package_folder
        lib = os.path.join(package, "lib")
        copy(self, "*", os.path.join(source, "include"), os.path.join(package, "include"))
        copy(self, "*", os.path.join(source, "share", "doc", "libphc"), os.path.join(package, "licenses"),
             excludes=("docs/*", "examples/*", "*.md", "THIRD-PARTY-phc-*.txt"))
        if self.options.shared:
            for pattern in "libphc.so*", "*.dylib", "*.dll.a":
                copy(self, pattern, os.path.join(source, "lib"), lib)
            copy(self, "*.dll", os.path.join(source, "bin"), os.path.join(package, "bin"))
        else:
            copy(self, "libphc.a", os.path.join(source, "lib"), lib)

    def package_info(self):
        # The names that libphc's own CMake and pkg-config files have.
        self.cpp_info.set_property("cmake_file_name", "phc")
        self.cpp_info.set_property("cmake_target_name", "phc::phc" if self.options.shared else "phc::phc_static")
        self.cpp_info.set_property("pkg_config_name", "phc")
        self.cpp_info.libs = ["phc"]
        if self.options.shared:
            if self.settings.os == "Windows":
                self.cpp_info.defines = ["PHC_DLL"]
        else:
            self.cpp_info.system_libs = self.conan_data["system_libs"][self._platform()]
            options = self.conan_data["link_options"][self._platform()]
            self.cpp_info.exelinkflags = options
            self.cpp_info.sharedlinkflags = options
