module terrace-notes

go 1.24

require terrace v0.0.0

replace terrace => ../../bindings/go
