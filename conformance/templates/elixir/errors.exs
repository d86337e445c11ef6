# What the functions of an Sdk raise.

defmodule Unsupported do
  @moduledoc "The SDK has nothing like the call, or cannot be given its argument. The case is then not counted."
  defexception [:message]
end

defmodule Refused do
  @moduledoc "The SDK refused the call."
  defexception message: "", status: "refused"
end
