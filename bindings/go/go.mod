module terrace

go 1.24
