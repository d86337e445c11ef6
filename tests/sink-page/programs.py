"""The program that the page shows for each language, run with the library of this checkout."""

import os
import subprocess
import tempfile

from support import ROOT


def run_program(sink, language, address):
    """Runs the program that the page shows for this language, with the library of this checkout."""
    snippets = {one["language"]: one["code"].replace("HOST", address) for one in sink.get("/_page/snippets")["snippets"]}
    library = os.path.join(ROOT, "target/ship")
    code = snippets[language]
    with tempfile.TemporaryDirectory(prefix="phc-snippet-") as folder:

        def file(name):
            path = os.path.join(folder, name)
            with open(path, "w") as out:
                out.write(code)
            return path

        environment = dict(os.environ, PHC_LIBRARY=os.path.join(library, "libphc.so"), LD_LIBRARY_PATH=library)
        if language in ["C", "C++"]:
            compiler, name = (["cc", "-std=c11"], "shop.c") if language == "C" else (["c++", "-std=c++17"], "shop.cpp")
            program = os.path.join(folder, "shop")
            includes = [f"-I{ROOT}/include"]
            build = [*compiler, "-Wall", "-Werror", *includes, file(name), os.path.join(library, "libphc.so"), "-o", program]
            subprocess.run(build, check=True)
            command = [program]
        elif language == "Ruby":
            command = ["ruby", f"-I{ROOT}/bindings/ruby/lib", file("shop.rb")]
        elif language == "PHP":
            code = code.replace("'vendor/autoload.php'", f"'{ROOT}/bindings/php/autoload.php'")
            command = ["php", file("shop.php")]
        else:
            file("main.go")
            with open(os.path.join(folder, "go.mod"), "w") as out:
                package = "github.com/PostHog/libphc/bindings/go"
                out.write(f"module example.com/shop\n\ngo 1.24\n\nrequire {package} v0.0.0\n\nreplace {package} => {ROOT}/bindings/go\n")
            with open(os.path.join(folder, "phc.pc"), "w") as out:
                out.write(f"Name: phc\nDescription: libphc\nVersion: 0\nCflags: -I{ROOT}/include\nLibs: -L{library} -lphc -Wl,-rpath,{library}\n")
            environment.update(PKG_CONFIG_PATH=folder, GOFLAGS="-mod=mod -buildvcs=false", GOPROXY="off")
            command = ["go", "build", "-tags", "phc_dynamic", "-o", "shop", "."]
            subprocess.run(command, cwd=folder, env=environment, check=True)
            command = [os.path.join(folder, "shop")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
