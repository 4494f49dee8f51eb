module github.com/scepter-pki/scepter

go 1.26.0
