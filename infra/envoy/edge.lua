-- UTF-8, without overlong forms, surrogates and what lies past U+10FFFF.
local sequences = {
  "[\194-\223][\128-\191]",
  "\224[\160-\191][\128-\191]",
  "[\225-\236\238\239][\128-\191][\128-\191]",
  "\237[\128-\159][\128-\191]",
  "\240[\144-\191][\128-\191][\128-\191]",
  "[\241-\243][\128-\191][\128-\191][\128-\191]",
  "\244[\128-\143][\128-\191][\128-\191]",
}

local function is_utf8(text)
  for _, sequence in ipairs(sequences) do
    text = text:gsub(sequence, " ")
  end
  return not text:find("[\128-\255]")
end

-- Refuses paths that no proto string can hold: the transcoder would pass them on, and gRPC could
-- only say that it failed to parse the message.
function envoy_on_request(handle)
  -- Over HTTP, gRPC's deadline would cut answers without a word: there it is x-request-timeout-ms.
  if not (handle:headers():get("content-type") or ""):find("^application/grpc") then
    handle:headers():remove("grpc-timeout")
  end
  local path = handle:headers():get(":path")
  -- The transcoder writes its own path over it.
  handle:streamInfo():dynamicMetadata():set("catenary", "path", path)
  if not path:find("[%%\128-\255]") then
    return
  end
  local decoded = path:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end)
  if not is_utf8(decoded) then
    handle:respond({ [":status"] = "400" }, "the path is not UTF-8")
  end
end

local FAILED = '{"error":{"message":"the gateway failed while it worked on the request",'
  .. '"type":"server_error","param":null,"code":"upstream_failed"}}'

-- The failure of a call as OpenAI's clients know it. The gateway sends it beside the status, in the
-- trailers if the call had begun its answer. A status alone is gRPC's own, such as a stopping
-- server's. Nil for what Envoy answers by itself, which is in shape already.
local function openai_error(headers, trailers, body)
  for _, metadata in ipairs({ headers, trailers }) do
    local envelope = metadata:get("x-catenary-error")
    if envelope then
      return envelope, metadata:get("retry-after")
    end
  end
  if body:getBytes(0, body:length()):find('^{"code":') then
    return FAILED
  end
end

-- Answers every caller in the shape of the API that was asked.
function envoy_on_response(handle)
  local asked = handle:streamInfo():dynamicMetadata():get("catenary")
  local path = asked and asked["path"] or ""
  if handle:headers():get(":status") == "200" then
    if path:find("^/catenary/v1/generate") then
      handle:headers():replace("content-type", "application/x-ndjson")
    end
    return
  end
  if not path:find("^/v1/") then
    return
  end
  local body = handle:body(true)
  -- Got after the body, since waiting for the body invalidates what was got before.
  local headers = handle:headers()
  local envelope, retry_after = openai_error(headers, handle:trailers(), body)
  if envelope then
    headers:replace("content-type", "application/json")
    headers:remove("x-catenary-error")
    if retry_after then
      headers:replace("retry-after", retry_after)
    end
    body:setBytes(envelope)
  end
end
