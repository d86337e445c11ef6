# frozen_string_literal: true

# Makes the Makefile of the extension. The Rakefile beside it builds and installs.
require "mkmf"

# It raises where there is no C compiler.
have_header("ruby.h") or abort "the headers of Ruby cannot be used"
$CFLAGS << " -std=c11"
# The tests are strict with what is here, and not with Ruby's headers.
if ENV["POSTHOG_PHC_CFLAGS"]
  $CFLAGS << " #{ENV["POSTHOG_PHC_CFLAGS"]}"
  $DLDFLAGS << " #{ENV["POSTHOG_PHC_CFLAGS"]}"
  $INCFLAGS = $INCFLAGS.gsub(/-I(?=\$\((?:arch_)?hdrdir\))/, "-isystem ")
end
create_makefile("posthog_phc/posthog_phc_ext")
