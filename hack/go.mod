module github.com/mirubato/mirubato/hack

go 1.26.0

require github.com/mirubato/mirubato v0.0.0

replace github.com/mirubato/mirubato => ../
