-- Called for every row: what is stored for this number and line.
function row(number, line)
  return string.format("%d:%s:%d", number, line:reverse(), #line * number)
end
